/**
 * A process that fetches objects through the cache, for tests of several at once: says `ready`, starts when it is told, prints what it got
 * as one line of JSON, and holds it until its input ends.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { ObjectCache, openStore, type S3Options } from '../../src/storage/index.ts';

export interface FetchTask {
  readonly url: string;
  readonly s3: S3Options;
  readonly dir: string;
  readonly limitBytes: number;
  readonly keys: readonly string[];
  readonly partBytes: number;
}

export interface FetchReport {
  readonly paths: readonly string[];
  /** of each object */
  readonly sha256: readonly string[];
  readonly downloads: number;
}

const task = JSON.parse(process.argv[2]!) as FetchTask;
const store = openStore(task.url, { s3: task.s3, limits: { retry: { baseDelayMs: 1, maxDelayMs: 20 } } });
const cache = new ObjectCache({ ...task, roomTimeoutMs: 0, download: { partBytes: task.partBytes } });
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
console.log('ready');
await lines.next();
try {
  const objects = await Promise.all(task.keys.map((key) => cache.fetch(store, key)));
  const paths = objects.map(({ path }) => path);
  const sha256 = paths.map((path) => createHash('sha256').update(readFileSync(path)).digest('hex'));
  console.log(JSON.stringify({ paths, sha256, downloads: cache.stats().downloads } satisfies FetchReport));
} catch (error) {
  console.log(JSON.stringify({ code: (error as { code?: string }).code, message: (error as Error).message }));
}
await lines.next();
process.exit(0);
