/** Worker threads from source and from the built package alike. */
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Starts the module at `url` in a thread: a `.ts` file under tsx (working in the repo), a `.js` file plainly. */
export function spawnWorker(url: URL, options: WorkerOptions = {}): Worker {
  const fromSource = url.pathname.endsWith('.ts');
  const execArgv = fromSource ? ['--import', 'tsx', ...(options.execArgv ?? [])] : options.execArgv;
  return new Worker(url, execArgv ? { ...options, execArgv } : options);
}
