/**
 * Work shared by tasks that have nothing in common but a folder (an array of Slurm, pods of Kubernetes), or done by one alone. Work is
 * cut into items, each with a receipt: a file that is there when the item is done. Item k belongs to task k mod n. A task does its
 * own, then waits for the others' receipts; a task that shows no sign of life (its file in the folder is touched every few
 * seconds) is taken for dead and what it owes is done by those who wait. Items give the same bytes whoever does them, and
 * receipts appear whole, so an item that two tasks do at once does no harm: there are no locks, and nothing to clean up after
 * a task that was killed.
 */
import { existsSync, mkdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from './jobs.ts';

const POLL_MS = 250;
const SIGN_MS = 2000;
/** A task without a sign for so long is taken for dead. */
const SILENT_MS = 30_000;

export interface WorkItem {
  readonly job: Job;
  /** the file that is there when it is done */
  readonly receipt: string;
}

export interface Share {
  /** from 0 */
  readonly task: number;
  readonly of: number;
}

export interface WorkerOptions {
  readonly share: Share;
  /** where tasks leave their signs */
  readonly folder: string;
  readonly run: (job: Job) => Promise<void>;
  readonly warn?: (message: string) => void;
  readonly signal?: AbortSignal;
  readonly silentMs?: number;
}

/** One task of several, or the only one. */
export class SharedWork {
  private readonly options: WorkerOptions;
  private readonly seen = new Map<number, { mtimeMs: number; atMs: number }>();
  private readonly told = new Set<number>();
  private timer: NodeJS.Timeout | undefined;

  constructor(options: WorkerOptions) {
    this.options = options;
    if (options.share.of === 1) return;
    mkdirSync(options.folder, { recursive: true });
    this.giveSign();
    this.timer = setInterval(() => this.giveSign(), SIGN_MS);
    this.timer.unref();
  }

  /**
   * Ends when every item is done, by this task or another.
   * @param onDone called as items get done, with how many are
   * @throws what an item throws; the signal's reason
   */
  async finish(items: readonly WorkItem[], onDone: (done: number) => void): Promise<void> {
    const { task, of } = this.options.share;
    let done = items.filter(isDone).length;
    onDone(done);
    const work = async (each: WorkItem) => {
      if (!isDone(each)) await this.options.run(each.job);
      onDone(++done);
    };
    await Promise.all(items.filter((each, k) => k % of === task && !isDone(each)).map(work));
    if (of > 1) await this.finishOthers(items, work, onDone);
  }

  /** Takes the sign of this task away. */
  close(): void {
    if (!this.timer) return;
    clearInterval(this.timer);
    rmSync(this.sign, { force: true });
    try {
      rmdirSync(this.options.folder);
    } catch {
      // Others are still at work.
    }
  }

  private async finishOthers(
    items: readonly WorkItem[],
    work: (item: WorkItem) => Promise<void>,
    onDone: (done: number) => void,
  ): Promise<void> {
    const { share, signal } = this.options;
    const owed = items.map((item, k) => ({ item, owner: k % share.of }));
    // Each begins with another, so that those who wait do not all do the same.
    const order = [...owed.slice(share.task + 1), ...owed.slice(0, share.task + 1)];
    for (;;) {
      signal?.throwIfAborted();
      const missing = order.filter(({ item }) => !isDone(item));
      onDone(items.length - missing.length);
      if (missing.length === 0) return;
      const abandoned = missing.find(({ owner }) => this.isSilent(owner));
      if (abandoned) await work(abandoned.item);
      else await sleep(POLL_MS, undefined, { signal });
    }
  }

  /** Whether a task has given no sign for long, as seen from here: clocks of machines differ. */
  private isSilent(owner: number): boolean {
    const mtimeMs = statSync(this.signOf(owner), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const before = this.seen.get(owner);
    const nowMs = performance.now();
    if (!before || before.mtimeMs !== mtimeMs) {
      this.seen.set(owner, { mtimeMs, atMs: nowMs });
      return false;
    }
    if (nowMs - before.atMs < (this.options.silentMs ?? SILENT_MS)) return false;
    if (!this.told.has(owner)) {
      this.told.add(owner);
      this.options.warn?.(`Task ${owner + 1} gives no sign of life; its share is done here.`);
    }
    return true;
  }

  /** Written anew, so that the time of the file is that of the file's server. */
  private giveSign(): void {
    try {
      writeFileSync(this.sign, `${hostname()} ${process.pid}\n`);
    } catch {
      // A task whose sign cannot be written is taken for dead, and its work is done twice.
    }
  }

  private get sign(): string {
    return this.signOf(this.options.share.task);
  }

  private signOf(task: number): string {
    const { folder, share } = this.options;
    return join(folder, `task-${task + 1}-of-${share.of}`);
  }
}

function isDone({ receipt }: WorkItem): boolean {
  return existsSync(receipt);
}
