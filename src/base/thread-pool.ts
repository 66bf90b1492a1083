/**
 * Jobs for threads of one kind. A thread is started when there is work that no other is free for; the rest queues here. A
 * thread does one job at a time, also where it waits for something meanwhile, and may send notes while it does. Answers come in
 * whatever order; promises keep the caller's. Buffers are handed over, not copied.
 */
import { parentPort, type TransferListItem, type Worker, type WorkerOptions } from 'node:worker_threads';
import { type ErrorData, errorFromData, errorToData } from './error-data.ts';
import { assert, DabarexError } from './errors.ts';
import { fileError } from './file-errors.ts';
import { spawnWorker } from './worker.ts';

export interface ThreadPoolOptions<Job, Note>
  extends Pick<WorkerOptions, 'name' | 'workerData' | 'resourceLimits'> {
  /** a module that calls {@link answerJobs} */
  readonly url: URL;
  /** at most */
  readonly threads: number;
  /** jobs that wait in a thread for the one at hand, so that it never idles; 0 for jobs so long that they had better wait here; default 1 */
  readonly jobsAhead?: number;
  /** the first job that fails ends all others; without it each fails alone */
  readonly endsOnFailure?: boolean;
  /** what a thread says of the job at hand */
  readonly onNote?: (note: Note, job: Job) => void;
  /** ends all jobs by its reason */
  readonly signal?: AbortSignal;
}

interface Question {
  readonly id: number;
  readonly job: unknown;
}

type Reply =
  | { readonly id: number; readonly note: unknown }
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: ErrorData };

interface Pending<Job> {
  readonly id: number;
  readonly job: Job;
  readonly transfer: readonly TransferListItem[];
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
}

export class ThreadPool<Job, Answer, Note = never> {
  private readonly options: ThreadPoolOptions<Job, Note>;
  private readonly workers: Worker[] = [];
  /** jobs that each thread has */
  private readonly busy: number[] = [];
  private readonly queue: Pending<Job>[] = [];
  private readonly asked = new Map<number, Pending<Job>>();
  private nextId = 0;
  private failure: unknown;

  constructor(options: ThreadPoolOptions<Job, Note>) {
    assert(options.threads >= 1, 'a pool needs a thread');
    this.options = options;
    if (options.signal?.aborted) this.onAbort();
    else options.signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  get threads(): number {
    return this.options.threads;
  }

  /**
   * The answer to a job. @param transfer buffers in `job` that are given away
   * @throws what the thread threw, a {@link DabarexError} as such; preparation_memory_exhausted; the signal's reason
   */
  run(job: Job, transfer: readonly TransferListItem[] = []): Promise<Answer> {
    if (this.failure) return Promise.reject(this.failure);
    const answer = new Promise<Answer>((resolve, reject) => {
      this.queue.push({ id: this.nextId++, job, transfer, resolve, reject });
    });
    // A thread may fail while nobody waits yet; whoever waits later still gets the error.
    answer.catch(() => {});
    this.hand();
    return answer;
  }

  /** Ends the threads; jobs at work are given up. */
  async close(): Promise<void> {
    this.fail(new Error('the pool is closed'));
    this.options.signal?.removeEventListener('abort', this.onAbort);
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private readonly onAbort = () => this.fail(this.options.signal!.reason);

  private hand(): void {
    while (this.queue.length > 0) {
      const thread = this.freeThread();
      if (thread === undefined) return;
      const pending = this.queue.shift()!;
      const { id, job, transfer } = pending;
      this.asked.set(id, pending);
      this.busy[thread]!++;
      this.workers[thread]!.postMessage({ id, job } satisfies Question, transfer);
    }
  }

  /** An idle thread, a new one, or the one with the fewest jobs if it may take another. */
  private freeThread(): number | undefined {
    const { threads, jobsAhead = 1 } = this.options;
    const fewest = Math.min(...this.busy);
    if (fewest > 0 && this.workers.length < threads) return this.start();
    return fewest <= jobsAhead ? this.busy.indexOf(fewest) : undefined;
  }

  private start(): number {
    const { url, name, workerData, resourceLimits } = this.options;
    const worker = spawnWorker(url, { name, workerData, resourceLimits });
    const thread = this.workers.push(worker) - 1;
    this.busy.push(0);
    worker.on('message', (reply: Reply) => this.receive(thread, reply));
    worker.on('error', (error) => this.fail(asMemoryError(error)));
    worker.on('exit', (status) => this.fail(new Error(`a thread ended with status ${status}`)));
    return thread;
  }

  private receive(thread: number, reply: Reply): void {
    const pending = this.asked.get(reply.id);
    if ('note' in reply) {
      if (pending) this.options.onNote?.(reply.note as Note, pending.job);
      return;
    }
    this.asked.delete(reply.id);
    this.busy[thread]!--;
    if ('answer' in reply) pending?.resolve(reply.answer as never);
    else {
      const error = errorFromData(reply.error);
      pending?.reject(error);
      if (this.options.endsOnFailure) this.fail(error);
    }
    this.hand();
  }

  private fail(error: unknown): void {
    this.failure ??= error;
    for (const { reject } of [...this.asked.values(), ...this.queue.splice(0)]) reject(this.failure);
    this.asked.clear();
  }
}

/** What a thread that ended by `error` is told as. */
function asMemoryError(error: Error): Error {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') return error;
  return new DabarexError(
    'preparation_memory_exhausted',
    'A thread that prepares text ran out of memory. Split very large documents, or use fewer threads with --threads 1.',
    {},
    { cause: error },
  );
}

/** What a thread answers; `transfer` names the buffers it gives away. */
interface Answered<Answer> {
  readonly answer: Answer;
  readonly transfer?: readonly TransferListItem[];
}

/**
 * The side of the thread: answers the jobs by `work`, one after another.
 * @param work its `note` tells something of the job at hand
 */
export function answerJobs<Job, Answer, Note = never>(
  work: (job: Job, note: (note: Note) => void) => Answered<Answer> | Promise<Answered<Answer>>,
): void {
  const send = (reply: Reply, transfer?: readonly TransferListItem[]) =>
    parentPort!.postMessage(reply, transfer);
  const answerTo = async ({ id, job }: Question) => {
    try {
      const { answer, transfer } = await work(job as Job, (note) => send({ id, note }));
      send({ id, answer }, transfer);
    } catch (error) {
      send({ id, error: errorToData(fileError(error)) });
    }
  };
  let last: Promise<void> = Promise.resolve();
  parentPort!.on('message', (question: Question) => {
    last = last.then(() => answerTo(question));
  });
}
