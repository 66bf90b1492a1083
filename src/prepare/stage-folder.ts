/**
 * Where a stage's result comes from: found finished, or made by this process alone. It is written into a temporary folder
 * beside its place (`FOLDER.tmp-PID`) under a lock (`FOLDER.lock`) and renamed into it, its manifest in it; so a folder that stands at
 * its place was finished, whoever was killed, and one that others read is never written to. A second process waits for the first.
 * Limit: a reader of a folder that was damaged since is not kept from seeing it replaced by the same data.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  DabarexError,
  describeOwner,
  fileError,
  isProcess,
  type LockOwner,
  syncFolder,
  waitForLock,
} from '../base/index.ts';
import { type Manifest, trustedManifest, writeManifest } from './manifest.ts';

const KEY_DIGITS = 16;

/** How the stages of preparation are called. */
export interface StageOptions {
  /** put the result into a folder of its own, named by what it depends on, so that others stay as they are */
  readonly byKey?: boolean;
  /** make nothing, fetch nothing: @throws documents_invalid where the result is not there */
  readonly onlyFinished?: boolean;
  readonly signal?: AbortSignal;
  /** called when the result is not there and work on it begins */
  readonly onBegin?: () => void;
  /** told that another process is making the same and is waited for */
  readonly warn?: (message: string) => void;
}

/** The folder of a result: `place`, or by key one within it. */
export function stageFolder(place: string, key: string, { byKey }: StageOptions): string {
  return byKey ? join(place, key.slice(0, KEY_DIGITS)) : place;
}

/**
 * The finished result at `folder` with this key, or what `make` writes into the folder it is given.
 * @throws what `make` throws, and nothing is left then; path_unusable where `folder` holds something else; the signal's reason
 */
export async function makeStage<M extends Manifest>(
  folder: string,
  key: string,
  options: StageOptions,
  make: (folder: string) => Promise<M>,
): Promise<{ manifest: M; reused: boolean }> {
  const finished = trustedManifest<M>(folder, key);
  if (finished) return { manifest: finished, reused: true };
  if (options.onlyFinished) throw notFinished(folder);
  try {
    mkdirSync(dirname(folder), { recursive: true });
    const release = await takeLock(folder, options);
    try {
      const madeMeanwhile = trustedManifest<M>(folder, key);
      if (madeMeanwhile) return { manifest: madeMeanwhile, reused: true };
      options.onBegin?.();
      return { manifest: await makeAndPublish(folder, make), reused: false };
    } finally {
      release();
    }
  } catch (error) {
    throw fileError(error, folder);
  }
}

async function makeAndPublish<M extends Manifest>(
  folder: string,
  make: (folder: string) => Promise<M>,
): Promise<M> {
  requireOwn(folder);
  removeLeftovers(folder);
  const temporary = `${folder}.tmp-${process.pid}`;
  const replaced = `${folder}.tmp-replaced`;
  try {
    mkdirSync(temporary);
    const manifest = await make(temporary);
    writeManifest(temporary, manifest);
    if (existsSync(folder)) renameSync(folder, replaced);
    renameSync(temporary, folder);
    syncFolder(dirname(folder));
    return manifest;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    rmSync(replaced, { recursive: true, force: true });
  }
}

function takeLock(folder: string, { signal, warn }: StageOptions): Promise<() => void> {
  const path = `${folder}.lock`;
  const onWait = (owner: LockOwner | undefined) => {
    const who = describeOwner(owner);
    warn?.(`Waiting for ${who}, which is making ${folder}. If it no longer exists, remove ${path}.`);
  };
  return waitForLock(path, { signal, onWait });
}

/** What a process left that was killed; none is at work, for the lock is ours. */
function removeLeftovers(folder: string): void {
  const prefix = `${basename(folder)}.tmp-`;
  const lockPrefix = `${basename(folder)}.lock.tmp-`;
  for (const name of readdirSync(dirname(folder))) {
    const isLeftover = name.startsWith(prefix) && /^(\d+|replaced)$/.test(name.slice(prefix.length));
    const isOfLock = name.startsWith(lockPrefix) && !isProcess(Number(name.slice(lockPrefix.length)));
    if (isLeftover || isOfLock) rmSync(join(dirname(folder), name), { recursive: true, force: true });
  }
}

/** A folder that is replaced must have been made here. */
function requireOwn(folder: string): void {
  if (!existsSync(folder) || existsSync(join(folder, 'manifest.json'))) return;
  if (readdirSync(folder).length === 0) return;
  throw new DabarexError(
    'path_unusable',
    `${folder} holds files that dabarex did not put there: it has no manifest.json. Move it away, or choose another folder.`,
    { path: folder },
  );
}

function notFinished(folder: string): DabarexError {
  return new DabarexError(
    'documents_invalid',
    `${folder} holds no finished result. Prepare the data first.`,
    {
      folder,
    },
  );
}
