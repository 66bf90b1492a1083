/** Parts made on several threads, in any order. */
import type { Worker } from 'node:worker_threads';
import { DabarexError, spawnWorker } from '../../base/index.ts';
import type { ConvertAnswer } from './convert-worker.ts';
import type { PartJob } from './part.ts';

export interface PoolOptions {
  readonly threads: number;
  /** bytes of input done by a job */
  readonly onBytes: (job: PartJob, count: number) => void;
  readonly onDone: (job: PartJob) => void;
  readonly signal?: AbortSignal;
}

/** Makes all; on the first failure, or when `signal` says so, the others are given up. @throws the failure, or the signal's reason */
export async function makeParts(jobs: readonly PartJob[], options: PoolOptions): Promise<void> {
  const queue = [...jobs];
  const workers = Array.from({ length: Math.min(options.threads, jobs.length) }, startWorker);
  const stop = () => workers.map((each) => each.terminate());
  options.signal?.addEventListener('abort', stop);
  try {
    options.signal?.throwIfAborted();
    await Promise.all(workers.map((worker) => serve(worker, queue, options)));
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await Promise.all(stop());
  }
}

function startWorker(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return spawnWorker(new URL(`./convert-worker.${extension}`, import.meta.url), { name: 'convert' });
}

/** Gives one job after the other to a worker until none is left. */
function serve(worker: Worker, queue: PartJob[], { onBytes, onDone }: PoolOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    let job: PartJob | undefined;
    const next = () => {
      job = queue.shift();
      if (job) worker.postMessage(job);
      else resolve();
    };
    worker.on('message', (answer: ConvertAnswer) => {
      if (answer.type === 'bytes') onBytes(job!, answer.count);
      else if (answer.type === 'failed') reject(errorOf(answer));
      else {
        onDone(job!);
        next();
      }
    });
    worker.on('error', reject);
    worker.on('exit', (status) =>
      reject(new Error(`a thread of the conversion ended with status ${status}`)),
    );
    next();
  });
}

function errorOf({ code, message, fields }: ConvertAnswer & { type: 'failed' }): Error {
  return code ? new DabarexError(code, message, fields) : new Error(message);
}
