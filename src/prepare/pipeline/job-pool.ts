/**
 * Jobs in threads, at most as many as memory allows; with one thread in this one. A thread holds about a shard of
 * text in several forms at once, hence {@link THREAD_BYTES}.
 */
import { moduleBeside, ThreadPool } from '../../base/index.ts';
import { type Job, type JobContext, JobRunner } from './jobs.ts';

const MB = 1 << 20;
/** What a thread takes: its own code, and a shard packed, unpacked, as objects and packed again. */
const THREAD_BYTES = 256 * MB;
/** What the process takes without them. */
const PROCESS_BYTES = 256 * MB;

export interface PoolOptions {
  readonly threads: number;
  readonly memoryBytes: number;
  readonly context: Omit<JobContext, 'mergeBytes'>;
  readonly warn: (message: string) => void;
  readonly signal?: AbortSignal;
}

/** The first job that fails ends all: what the others would write is of no use without it. */
export interface JobPool {
  /** Ends when the job's files are written. @throws what the job throws; the signal's reason */
  run(job: Job): Promise<void>;
  /** Ends the threads; jobs at work are given up. */
  close(): Promise<void>;
}

export function openJobPool(options: PoolOptions): JobPool {
  const { warn, signal } = options;
  const free = options.memoryBytes - PROCESS_BYTES;
  const threads = Math.max(1, Math.min(options.threads, Math.floor(free / THREAD_BYTES)));
  const context: JobContext = { ...options.context, mergeBytes: Math.max(64 * MB, free / 2) };
  if (threads === 1) return new InlinePool(new JobRunner(context, signal), warn, signal);
  return new ThreadPool<Job, void, string>({
    url: moduleBeside(import.meta.url, 'stage-worker'),
    workerData: context,
    threads,
    jobsAhead: 0,
    endsOnFailure: true,
    onNote: warn,
    signal,
  });
}

/** One job after another in this thread. */
class InlinePool implements JobPool {
  private readonly runner: JobRunner;
  private readonly warn: (message: string) => void;
  private readonly signal: AbortSignal | undefined;
  private last: Promise<void> = Promise.resolve();
  private isClosed = false;

  constructor(runner: JobRunner, warn: (message: string) => void, signal?: AbortSignal) {
    this.runner = runner;
    this.warn = warn;
    this.signal = signal;
  }

  run(job: Job): Promise<void> {
    // A job that fails fails those behind it.
    this.last = this.last.then(() => {
      this.signal?.throwIfAborted();
      if (this.isClosed) throw new Error('the pool is closed');
      return this.runner.run(job, this.warn);
    });
    return this.last;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
