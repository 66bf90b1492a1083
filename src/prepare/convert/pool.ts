/** Parts made on several threads, in any order. */
import { moduleBeside, ThreadPool } from '../../base/index.ts';
import type { PartJob } from './part.ts';

export interface PoolOptions {
  readonly threads: number;
  /** bytes of input done by a job */
  readonly onBytes: (job: PartJob, count: number) => void;
  readonly onDone: (job: PartJob) => void;
  readonly signal?: AbortSignal;
}

/** Makes all; on the first failure, or when `signal` says so, the others are given up. @throws the failure, or the signal's reason */
export async function makeParts(
  jobs: readonly PartJob[],
  { threads, onBytes, onDone, signal }: PoolOptions,
): Promise<void> {
  const pool = new ThreadPool<PartJob, void, number>({
    url: moduleBeside(import.meta.url, 'convert-worker'),
    name: 'convert',
    threads,
    jobsAhead: 0,
    endsOnFailure: true,
    onNote: (count, job) => onBytes(job, count),
    signal,
  });
  try {
    await Promise.all(jobs.map((job) => pool.run(job).then(() => onDone(job))));
  } finally {
    await pool.close();
  }
}
