/**
 * Jobs for threads of one kind. Each thread has a job at hand and one waiting, the rest queue here, so that none idles while
 * another is behind. Answers come in whatever order; promises keep the caller's. Buffers are handed over, not copied.
 */
import { parentPort, type TransferListItem, type Worker } from 'node:worker_threads';
import { assert, DabarexError, type ErrorCode, type ErrorFields } from './errors.ts';
import { spawnWorker } from './worker.ts';

/** Jobs a thread has at a time: the one at hand, and the next. */
const JOBS_PER_THREAD = 2;

interface Question {
  readonly id: number;
  readonly job: unknown;
}

type Reply =
  | { readonly id: number; readonly answer: unknown }
  | {
      readonly id: number;
      readonly message: string;
      readonly code?: ErrorCode;
      readonly fields?: ErrorFields;
    };

interface Pending {
  readonly question: Question;
  readonly transfer: readonly TransferListItem[];
  readonly resolve: (answer: never) => void;
  readonly reject: (error: unknown) => void;
}

export class ThreadPool<Job, Answer> {
  private readonly workers: Worker[];
  private readonly busy: number[];
  private readonly queue: Pending[] = [];
  private readonly asked = new Map<number, Pending>();
  private nextId = 0;
  private failure: unknown;

  /** @param url a module that calls {@link answerJobs}; @param workerData what every thread is given */
  constructor(url: URL, workerData: unknown, threads: number) {
    assert(threads >= 1, 'a pool needs a thread');
    this.busy = new Array(threads).fill(0);
    this.workers = this.busy.map((_, thread) => {
      const worker = spawnWorker(url, { workerData });
      worker.on('message', (reply: Reply) => this.settle(thread, reply));
      worker.on('error', (error) => this.fail(error));
      worker.on('exit', (status) => this.fail(new Error(`a thread ended with status ${status}`)));
      return worker;
    });
  }

  get threads(): number {
    return this.workers.length;
  }

  /**
   * The answer to a job. @param transfer buffers in `job` that are given away
   * @throws what the thread threw, a {@link DabarexError} as such
   */
  run(job: Job, transfer: readonly TransferListItem[] = []): Promise<Answer> {
    if (this.failure) return Promise.reject(this.failure);
    const answer = new Promise<Answer>((resolve, reject) => {
      this.queue.push({ question: { id: this.nextId++, job }, transfer, resolve, reject });
    });
    // A thread may fail while nobody waits yet; whoever waits later still gets the error.
    answer.catch(() => {});
    this.hand();
    return answer;
  }

  async close(): Promise<void> {
    this.failure ??= new Error('the pool is closed');
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private hand(): void {
    while (this.queue.length > 0) {
      const thread = this.busy.indexOf(Math.min(...this.busy));
      if (this.busy[thread]! >= JOBS_PER_THREAD) return;
      const pending = this.queue.shift()!;
      this.asked.set(pending.question.id, pending);
      this.busy[thread]!++;
      this.workers[thread]!.postMessage(pending.question, pending.transfer);
    }
  }

  private settle(thread: number, reply: Reply): void {
    const pending = this.asked.get(reply.id);
    this.asked.delete(reply.id);
    this.busy[thread]!--;
    this.hand();
    if ('answer' in reply) pending?.resolve(reply.answer as never);
    else
      pending?.reject(
        reply.code ? new DabarexError(reply.code, reply.message, reply.fields) : new Error(reply.message),
      );
  }

  private fail(error: unknown): void {
    this.failure ??= error;
    for (const { reject } of [...this.asked.values(), ...this.queue.splice(0)]) reject(this.failure);
    this.asked.clear();
  }
}

/** The side of the thread: answers each job by `work`, whose `transfer` names the buffers it gives away. */
export function answerJobs<Job, Answer>(
  work: (job: Job) => { readonly answer: Answer; readonly transfer?: readonly TransferListItem[] },
): void {
  parentPort!.on('message', ({ id, job }: { id: number; job: Job }) => {
    try {
      const { answer, transfer = [] } = work(job);
      parentPort!.postMessage({ id, answer } satisfies Reply, transfer);
    } catch (error) {
      const { message, code, fields } = error as DabarexError;
      const known = error instanceof DabarexError ? { code, fields } : {};
      parentPort!.postMessage({ id, message, ...known } satisfies Reply);
    }
  });
}
