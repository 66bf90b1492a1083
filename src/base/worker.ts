/** Worker threads from source and from the built package alike. */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** The module `name` (without its ending) beside the one at `from`, its `import.meta.url`: `.ts` as that is, or `.js`. */
export function moduleBeside(from: string, name: string): URL {
  return new URL(`./${name}${from.endsWith('.ts') ? '.ts' : '.js'}`, from);
}

/** Starts the module at `url` in a thread: a `.ts` file under tsx (working in the repo), a `.js` file plainly. */
export function spawnWorker(url: URL, options: WorkerOptions = {}): Worker {
  return new Worker(url.pathname.endsWith('.ts') ? underTsx(url) : url, options);
}

/**
 * A module that turns tsx on and then runs `url`. On Node 20 neither `--import tsx` among the thread's `execArgv` nor
 * the parent's own loader reaches the entry file of a thread.
 */
function underTsx(url: URL): URL {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/package.json'));
  const start = `import { register } from '${new URL('dist/esm/api/index.mjs', tsx).href}'; register(); await import('${url.href}');`;
  return new URL(`data:text/javascript,${encodeURIComponent(start)}`);
}
