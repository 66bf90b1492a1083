/**
 * Jobs in threads, at most as many as memory allows; with one thread in this one. A thread holds about a shard of
 * text in several forms at once, hence {@link THREAD_BYTES}.
 */
import type { Worker } from 'node:worker_threads';
import { assert, DabarexError, spawnWorker } from '../../base/index.ts';
import { type Job, type JobContext, JobRunner } from './jobs.ts';
import type { Failure, WorkerMessage } from './stage-worker.ts';

const MB = 1 << 20;
/** What a thread takes: its own code, and a shard packed, unpacked, as objects and packed again. */
export const THREAD_BYTES = 256 * MB;
/** What the process takes without them. */
export const PROCESS_BYTES = 256 * MB;

export interface PoolOptions {
  readonly threads: number;
  readonly memoryBytes: number;
  readonly context: Omit<JobContext, 'mergeBytes'>;
  readonly warn: (message: string) => void;
  readonly signal?: AbortSignal;
}

interface Waiting {
  readonly job: Job;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class JobPool {
  readonly threads: number;
  private readonly options: PoolOptions;
  private readonly context: JobContext;
  private readonly inline: JobRunner | undefined;
  private readonly idle: Worker[] = [];
  private readonly workers = new Map<Worker, Waiting | undefined>();
  private readonly queue: Waiting[] = [];
  private last: Promise<unknown> = Promise.resolve();
  private failure: unknown;

  constructor(options: PoolOptions) {
    this.options = options;
    const free = options.memoryBytes - PROCESS_BYTES;
    this.threads = Math.max(1, Math.min(options.threads, Math.floor(free / THREAD_BYTES)));
    this.context = { ...options.context, mergeBytes: Math.max(64 * MB, free / 2) };
    if (this.threads === 1) this.inline = new JobRunner(this.context, options.warn, options.signal);
    options.signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** Ends when the job's files are written. @throws what the job throws; the signal's reason */
  run(job: Job): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    if (this.inline) {
      const done = this.last.then(() => {
        if (this.failure) throw this.failure;
        return this.inline!.run(job);
      });
      this.last = done.catch((error) => this.fail(error));
      return done;
    }
    return new Promise((resolve, reject) => {
      this.queue.push({ job, resolve, reject });
      this.next();
    });
  }

  /** Ends the threads; jobs at work are given up. */
  async close(): Promise<void> {
    this.fail(new Error('the pool of threads is closed'));
    this.options.signal?.removeEventListener('abort', this.onAbort);
    await Promise.all([...this.workers.keys()].map((worker) => worker.terminate()));
  }

  private readonly onAbort = () => this.fail(this.options.signal!.reason);

  private next(): void {
    while (this.queue.length > 0 && !this.failure) {
      const worker = this.idle.pop() ?? (this.workers.size < this.threads ? this.spawn() : undefined);
      if (!worker) return;
      const waiting = this.queue.shift()!;
      this.workers.set(worker, waiting);
      worker.postMessage(waiting.job);
    }
  }

  private spawn(): Worker {
    const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    const worker = spawnWorker(new URL(`./stage-worker${extension}`, import.meta.url), {
      workerData: this.context,
    });
    this.workers.set(worker, undefined);
    worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'warning') this.options.warn(message.message);
      else this.settle(worker, message.failure);
    });
    worker.on('error', (error) => this.fail(asMemoryError(error)));
    worker.on('exit', (status) =>
      this.fail(new Error(`a thread of preparation ended with status ${status}`)),
    );
    return worker;
  }

  private settle(worker: Worker, failure: Failure | undefined): void {
    const waiting = this.workers.get(worker);
    assert(waiting, 'an answer without a job');
    this.workers.set(worker, undefined);
    if (failure) {
      const error = asError(failure);
      waiting.reject(error);
      this.fail(error);
      return;
    }
    this.idle.push(worker);
    waiting.resolve();
    this.next();
  }

  /** The first error ends all jobs: what they would write is of no use without the one that failed. */
  private fail(error: unknown): void {
    this.failure ??= error;
    for (const { reject } of this.queue.splice(0)) reject(this.failure);
    for (const [worker, waiting] of this.workers) {
      this.workers.set(worker, undefined);
      waiting?.reject(this.failure);
    }
  }
}

function asError({ code, fields, message, stack }: Failure): Error {
  const error = code ? new DabarexError(code, message, fields) : new Error(message);
  if (stack) error.stack = stack;
  return error;
}

/** What a thread that ended by `error` is told as: preparation_memory_exhausted where its heap was full. */
export function asMemoryError(error: Error): Error {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') return error;
  return new DabarexError(
    'preparation_memory_exhausted',
    'A thread of preparation ran out of memory. Split very large documents, or use fewer threads with --threads 1.',
    {},
    { cause: error },
  );
}
