/**
 * One writer per run, per folder of shared data, per object of a cache: a lock file that names its process. The file appears whole (linked into
 * place), a lock whose process is dead is taken over, and a process id that was given to another process since is told apart by the process's start time.
 * Limit: a process on another host cannot be probed, so its lock counts as alive until someone removes the file.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { fileError } from './file-errors.ts';

/** Looks of another process at a lock that changes under its eyes, before it gives up. */
const MAX_ATTEMPTS = 100;
const POLL_MS = 100;

export interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /** identity of the process beyond its id (boot and start tick on Linux); '' where the system does not tell */
  readonly processStart: string;
  /** when the lock was taken, ISO 8601, where it was told */
  readonly time?: string;
}

/** The lock, to be given back; or who holds it, where that can be told. */
export type LockAttempt =
  | {
      readonly release: () => void /** false where it was taken over by mistake: see {@link tryLock} */;
      readonly isHeld: () => boolean;
    }
  | { readonly release?: undefined; readonly owner: LockOwner | undefined };

/**
 * Takes the lock file at `path` for this process, or tells who holds it. A lock whose process is dead is taken over.
 * Three that take over the same dead lock within microseconds may leave two believing they have it; what must not be done twice asks `isHeld` before it is final.
 * @throws path_unusable, not_permitted where there is a lock that cannot be read; disk_full
 */
export function tryLock(path: string, time?: string): LockAttempt {
  const content = JSON.stringify({ ...thisProcess(), time });
  const temporary = `${path}.tmp-${process.pid}-${threadId}`;
  try {
    writeFileSync(temporary, content);
    for (let attempt = 0; !tryLink(temporary, path); attempt++) {
      const held = readLock(path);
      const owner = held === undefined ? undefined : parseOwner(held);
      if ((owner && isAlive(owner)) || attempt > MAX_ATTEMPTS) return { owner };
      if (held !== undefined) removeStale(path, held);
    }
  } catch (error) {
    throw fileError(error, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  const isHeld = () => readText(path) === content;
  return {
    isHeld,
    release: () => {
      if (isHeld()) rmSync(path, { force: true });
    },
  };
}

/** Whether a living process holds the lock at `path`. */
export function isLocked(path: string): boolean {
  const owner = parseOwner(readText(path) ?? '');
  return owner !== undefined && isAlive(owner);
}

/**
 * Takes the lock as soon as no other process holds it; gives what gives it back. @param onWait told once of its owner
 * @throws as {@link tryLock}; the signal's reason
 */
export async function waitForLock(
  path: string,
  { signal, onWait }: { signal?: AbortSignal; onWait?: (owner: LockOwner | undefined) => void } = {},
): Promise<() => void> {
  for (let told = false; ; told = true) {
    signal?.throwIfAborted();
    const attempt = tryLock(path);
    if (attempt.release) return attempt.release;
    if (!told) onWait?.(attempt.owner);
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** The owner of a lock, for a message. */
export function describeOwner(owner: LockOwner | undefined): string {
  if (!owner) return 'another process';
  return `process ${owner.pid} on ${owner.host}${owner.time ? ` since ${owner.time}` : ''}`;
}

/** Moves the lock away and drops it, unless another process replaced it in between: then that one is put back. */
function removeStale(path: string, judged: string): void {
  const aside = `${path}.stale-${process.pid}-${threadId}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (readText(aside) !== judged) tryLink(aside, path);
  rmSync(aside, { force: true });
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** This process, as a lock names it. */
export function thisProcess(): LockOwner {
  return { pid: process.pid, host: hostname(), processStart: processStart(process.pid) };
}

/** Whether the process lives, or is on another host, where it cannot be asked. */
export function isAlive(owner: LockOwner): boolean {
  if (owner.host !== hostname()) return true;
  return isProcess(owner.pid) && owner.processStart === processStart(owner.pid);
}

/** Whether a process of this machine has the id. */
export function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Boot id and start tick of a process (proc(5), /proc/PID/stat field 22). */
function processStart(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === undefined) return '';
  const fieldsFrom3 = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return `${readText('/proc/sys/kernel/random/boot_id')?.trim() ?? ''}:${fieldsFrom3[19]}`;
}

function parseOwner(text: string): LockOwner | undefined {
  try {
    const owner = JSON.parse(text) as LockOwner;
    return Number.isSafeInteger(owner.pid) && owner.pid > 0 ? owner : undefined;
  } catch {
    return undefined;
  }
}

/** The content of a lock; undefined where it is gone again. */
function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
