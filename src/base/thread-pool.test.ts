import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { ThreadPool, type ThreadPoolOptions } from './thread-pool.ts';

type Job = number | 'code' | 'missing' | 'greedy' | Uint8Array;
const moduleNamed = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
/** Waits as many milliseconds as the job says, telling when it begins and ends. */
const WORKER = `
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { DabarexError } from ${moduleNamed('./errors.ts')};
import { answerJobs } from ${moduleNamed('./thread-pool.ts')};
answerJobs(async (job, note) => {
  if (job === 'code') throw new DabarexError('data_empty', 'nothing there', { where: 'here' });
  if (job === 'missing') readFileSync('/nowhere/at/all');
  if (job === 'greedy') for (const kept = []; ; ) kept.push(new Array(100_000).fill(kept.length));
  if (job instanceof Uint8Array) return { answer: job.map((each) => each + 1), transfer: [] };
  note('begin');
  await sleep(job);
  note('end');
  return { answer: threadId };
});`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dabarex-pool-'));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'worker.ts'), WORKER);
});
afterAll(() => rmSync(folder, { recursive: true }));

const pools: ThreadPool<Job, unknown, string>[] = [];
afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close())));
function start(options: Partial<ThreadPoolOptions<Job, string>> = {}): (typeof pools)[number] {
  const url = pathToFileURL(join(folder, 'worker.ts'));
  const pool = new ThreadPool<Job, unknown, string>({ url, threads: 1, ...options });
  pools.push(pool);
  return pool;
}

it('does one job at a time in a thread, and starts no more threads than there is work for', async () => {
  const notes: string[] = [];
  const pool = start({ threads: 2, onNote: (note, job) => notes.push(`${note} ${job}`) });
  const first = await pool.run(1);
  // The second would go to another thread, were the first not free.
  expect([await pool.run(2), await pool.run(3)]).toEqual([first, first]);
  const threads = await Promise.all([pool.run(100), pool.run(200), pool.run(101), pool.run(201)]);
  expect(new Set(threads).size).toBe(2);
  const notesOf = (thread: unknown) =>
    notes.filter((note) =>
      [100, 200, 101, 201].some((job, k) => threads[k] === thread && note.endsWith(` ${job}`)),
    );
  for (const thread of threads) {
    expect(notesOf(thread).map((note) => note.split(' ')[0])).toEqual(['begin', 'end', 'begin', 'end']);
  }
});

it('carries errors over with their codes, and goes on, or ends with the first', async () => {
  const pool = start();
  const bytes = Uint8Array.of(1, 2);
  const [coded, missing, answer] = await Promise.allSettled([
    pool.run('code'),
    pool.run('missing'),
    pool.run(bytes, [bytes.buffer]),
  ]);
  expect(coded).toMatchObject({ reason: { code: 'data_empty', fields: { where: 'here' } } });
  expect(missing).toMatchObject({ reason: { code: 'file_missing', fields: { path: '/nowhere/at/all' } } });
  expect(answer).toMatchObject({ value: Uint8Array.of(2, 3) });
  expect(bytes).toHaveLength(0);
  const strict = start({ endsOnFailure: true });
  const ended = await Promise.allSettled([strict.run('code'), strict.run(1), strict.run(1)]);
  for (const each of ended) expect(each).toMatchObject({ reason: { code: 'data_empty' } });
  await expect(strict.run(1)).rejects.toMatchObject({ code: 'data_empty' });
});

it('ends when it is told to, and when a thread runs out of memory', async () => {
  const stop = new AbortController();
  const pool = start({ signal: stop.signal, onNote: () => stop.abort(new Error('enough')) });
  const stopped = await Promise.allSettled([pool.run(60_000), pool.run(1)]);
  for (const each of stopped) expect(each).toMatchObject({ reason: { message: 'enough' } });
  await expect(start({ signal: stop.signal }).run(1)).rejects.toThrow('enough');
  const small = start({ resourceLimits: { maxOldGenerationSizeMb: 24 } });
  await expect(Promise.all([small.run(1), small.run('greedy')])).rejects.toMatchObject({
    code: 'preparation_memory_exhausted',
    cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' },
  });
});
