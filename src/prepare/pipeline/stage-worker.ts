/** A thread of {@link JobPool}: one job at a time, by messages. */
import { parentPort, workerData } from 'node:worker_threads';
import { DabarexError, type ErrorCode, type ErrorFields, fileError } from '../../base/index.ts';
import { type Job, type JobContext, JobRunner } from './jobs.ts';

export type WorkerMessage =
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'done'; readonly failure?: Failure };

/** An error on its way between threads. */
export interface Failure {
  readonly code?: ErrorCode;
  readonly fields: ErrorFields;
  readonly message: string;
  readonly stack?: string;
}

const tell = (message: WorkerMessage) => parentPort!.postMessage(message);
const runner = new JobRunner(workerData as JobContext, (message) => tell({ kind: 'warning', message }));

parentPort!.on('message', async (job: Job) => {
  try {
    await runner.run(job);
    tell({ kind: 'done' });
  } catch (thrown) {
    tell({ kind: 'done', failure: failureOf(fileError(thrown)) });
  }
});

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { fields: {}, message: String(error) };
  const { message, stack } = error;
  return error instanceof DabarexError
    ? { code: error.code, fields: error.fields, message, stack }
    : { fields: {}, message, stack };
}
