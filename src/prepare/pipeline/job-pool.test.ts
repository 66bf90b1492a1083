import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { asMemoryError } from './job-pool.ts';

it('tells a thread whose heap is full by its code, and any other error as it is', async () => {
  const greedy = 'const kept = []; for (;;) kept.push(new Array(100000).fill(kept.length));';
  const worker = new Worker(greedy, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16 } });
  const [error] = await once(worker, 'error').catch((thrown) => [thrown]);
  expect(asMemoryError(error)).toMatchObject({ code: 'preparation_memory_exhausted', cause: error });
  const other = new Error('another');
  expect(asMemoryError(other)).toBe(other);
});
