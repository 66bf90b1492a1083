/**
 * Products against the multiply-add peak of their precision: prepacked weights and weight gradients. Packing is measured in bytes of the source against a streaming copy, since it computes nothing.
 */
import type { Kernels, Precision } from '../src/tensor/index.ts';
import { type Case, floats, type Limit, peakOf, rateOf } from './measure.ts';

/** rows m, columns n, depth k of c[m, n] = a[m, k] b[k, n] */
const SHAPES = [
  [64, 1536, 512],
  [128, 1536, 512],
  [256, 1536, 512],
  [512, 512, 512],
  [1024, 1024, 1024],
  [2048, 2048, 2048],
  [2048, 384, 128],
  [4096, 16, 256],
  [2048, 65, 256],
] as const;

export default function* gemm(kernels: Kernels): Iterable<Case> {
  for (const precision of ['f32', 'bf16'] as const) {
    for (const shape of SHAPES) yield* casesOf(kernels, shape, precision);
  }
}

function* casesOf(
  kernels: Kernels,
  [m, n, k]: (typeof SHAPES)[number],
  precision: Precision,
): Iterable<Case> {
  const [a, b, c] = [floats(kernels, m * k), floats(kernels, k * n), floats(kernels, m * n)];
  const [dy, dw] = [floats(kernels, m * n), floats(kernels, n * k)];
  const packed = kernels.createPacked(k, n, 1, precision);
  kernels.pack(packed, b, false);
  const limit = peakOf(kernels, precision);
  const name = `${precision} ${m} x ${n} x ${k}`;
  const offsets = Int32Array.of(0, m);
  yield {
    name: `packed ${name}`,
    unit: 'FLOP/s',
    work: 2 * m * n * k,
    limit,
    run: () => kernels.gemmPacked(c, a, packed, m),
  };
  yield {
    name: `weight gradient ${name}`,
    unit: 'FLOP/s',
    work: 2 * m * n * k,
    limit,
    run: () => kernels.groupedGemmTransposed(dw, dy, a, offsets, n, k, precision, true),
  };
  if (m < 512 || m > 1024) return;
  for (const transposed of [false, true]) {
    yield {
      name: `pack${transposed ? ' transposed' : ''} ${precision} ${k} x ${n}`,
      unit: 'B/s',
      work: 4 * k * n,
      limit: copyOf(kernels, b, dw),
      run: () => kernels.pack(packed, b, transposed),
    };
  }
}

/** Bytes per second of a copy of as many floats, reads counted. */
function copyOf(kernels: Kernels, source: Float32Array, target: Float32Array): Limit {
  return {
    name: 'copy of the same size',
    rate: () => rateOf(() => kernels.scale(target, source, 1), source.byteLength, 10),
  };
}
