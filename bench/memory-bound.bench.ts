/**
 * Kernels that do little per byte, in bytes read and written per second, against a streaming copy of arrays of the same
 * size, beyond the caches. What is computed per row (means, log-sum-exps) is not counted.
 */
import type { Kernels } from '../src/tensor/index.ts';
import { type Case, floats, type Limit, rateOf } from './measure.ts';

const ROWS = 16384;
const DIM = 512;
const LENGTH = ROWS * DIM;

export default function* memoryBound(kernels: Kernels): Iterable<Case> {
  const [x, y, z, w] = [0, 1, 2, 3].map(() => floats(kernels, LENGTH));
  const half = y.subarray(0, LENGTH / 2);
  const weight = floats(kernels, DIM);
  const gradient = floats(kernels, DIM);
  const [mean, rstd] = [floats(kernels, ROWS), floats(kernels, ROWS)];
  const limit: Limit = {
    name: 'streaming copy',
    rate: () => rateOf(() => kernels.scale(y, x, 1), 8 * LENGTH, 20),
  };
  const of = (name: string, arrays: number, run: () => void): Case => ({
    name,
    unit: 'B/s',
    work: arrays * 4 * LENGTH,
    limit,
    run,
  });
  yield of('add', 3, () => kernels.binary('add', z, x, y));
  yield of('layer norm forward', 2, () =>
    kernels.layerNormForward(y, mean, rstd, x, weight, ROWS, DIM, 1e-5),
  );
  yield of('layer norm backward', 3, () =>
    kernels.layerNormBackward(z, gradient, y, x, weight, mean, rstd, ROWS, DIM),
  );
  yield of('RMS norm forward', 2, () => kernels.rmsNormForward(y, rstd, x, weight, ROWS, DIM, 1e-5));
  yield of('silu', 2, () => kernels.unary('silu', y, x));
  yield of('softmax', 2, () => kernels.softmaxForward(y, x, ROWS, DIM));
  yield of('gated unit forward, silu', 1.5, () => kernels.gluForward(half, x, ROWS, DIM / 2, 'silu'));
  yield of('gated unit backward, silu', 2.5, () => kernels.gluBackward(z, half, x, ROWS, DIM / 2, 'silu'));
  yield* routed(kernels, x, y, of);
  const options = { learningRate: 1e-6, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 };
  w.fill(0);
  yield of('AdamW', 7, () => kernels.adamw(z, y, w, x, { ...options, step: 1, gradScale: 1 }));
}

/** Rows to their four experts and back: 4096 tokens, as many slots as the other cases have rows. */
function* routed(
  kernels: Kernels,
  x: Float32Array,
  y: Float32Array,
  of: (name: string, arrays: number, run: () => void) => Case,
): Iterable<Case> {
  const [numExperts, topK] = [16, 4];
  const tokens = ROWS / topK;
  const experts = Int32Array.from({ length: ROWS }, (_, slot) => (slot * 5 + (slot >> 4)) % numExperts);
  const [slotOf, tokenOf] = [new Int32Array(ROWS), new Int32Array(ROWS)];
  kernels.buildPermutation(
    slotOf,
    tokenOf,
    new Int32Array(numExperts + 1),
    experts,
    tokens,
    topK,
    numExperts,
  );
  const weights = floats(kernels, ROWS);
  yield of('gather rows of 4 experts', 1.25, () =>
    kernels.gatherRows(y, x.subarray(0, LENGTH / topK), tokenOf, ROWS, DIM),
  );
  yield of('combine rows of 4 experts', 1.25, () =>
    kernels.combineForward(y.subarray(0, LENGTH / topK), x, weights, slotOf, tokens, topK, DIM),
  );
}
