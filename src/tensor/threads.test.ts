/** The pool under threads: more of them than cores, several Node threads at once, a number of threads that changes. `npm run test:sanitize` looks for races here. */
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { Kernels } from './kernels.ts';
import { findAddon } from './native/addon-file.ts';
import { loadNative, nativeInstructionSets } from './native.ts';

/** One softmax: some 50 pieces. */
const [ROWS, DIM] = [200, 2000];

/** toEqual would take a second for each. */
function same(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
}

function softmaxOf(kernels: Kernels): Float32Array {
  const x = Float32Array.from({ length: ROWS * DIM }, (_, i) => Math.sin(i));
  const y = new Float32Array(x.length);
  kernels.softmaxForward(y, x, ROWS, DIM);
  return y;
}

describe.skipIf(nativeInstructionSets().length === 0)('the pool of threads', () => {
  const isa = nativeInstructionSets().at(-1)!;

  it('gives the same whatever the number of threads, also while it changes', () => {
    const kernels = loadNative({ isa, threads: 1 })!;
    const alone = softmaxOf(kernels);
    for (const threads of [2, 7, 1, 4, 3, 8, 2]) {
      kernels.setThreads(threads);
      for (let i = 0; i < 3; i++) expect(same(softmaxOf(kernels), alone)).toBe(true);
      expect(kernels.sum(alone)).toBeCloseTo(ROWS, 2);
    }
  });

  it('serves several Node threads at once', async () => {
    const kernels = loadNative({ isa, threads: 4 })!;
    const alone = softmaxOf(kernels);
    const { path } = findAddon(fileURLToPath(new URL('../..', import.meta.url)));
    const program = `
      const { workerData, parentPort } = require('node:worker_threads');
      const methods = require(workerData.path).create(workerData.isa);
      const x = Float32Array.from({ length: workerData.rows * workerData.dim }, (_, i) => Math.sin(i));
      const y = new Float32Array(x.length);
      for (let i = 0; i < 20; i++) methods.softmaxForward(y, x, workerData.rows, workerData.dim);
      parentPort.postMessage(y);`;
    const workerData = { path, isa, rows: ROWS, dim: DIM };
    const workers = [0, 1, 2].map(() => new Worker(program, { eval: true, workerData }));
    const answers = workers.map(
      (worker) => new Promise<Float32Array>((resolve) => worker.once('message', resolve)),
    );
    for (let i = 0; i < 20; i++) expect(same(softmaxOf(kernels), alone)).toBe(true);
    for (const answer of await Promise.all(answers)) expect(same(answer, alone)).toBe(true);
    await Promise.all(workers.map((worker) => worker.terminate()));
  });
});
