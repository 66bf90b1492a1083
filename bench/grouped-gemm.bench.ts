/**
 * Products of 16 experts with 2048 routed rows, against one dense product of as many rows and the same weights' shape:
 * groups of one size, and sizes that fall as 1/rank (Zipf), the last four empty.
 */
import type { Kernels, Precision } from '../src/tensor/index.ts';
import { type Case, floats, type Limit, rateOf } from './measure.ts';

const [EXPERTS, ROWS, N, K] = [16, 2048, 512, 256];
const WINDOW_MS = 20;

export default function* groupedGemm(kernels: Kernels): Iterable<Case> {
  for (const precision of ['f32', 'bf16'] as const) {
    const uniform = Array.from({ length: EXPERTS }, () => ROWS / EXPERTS);
    for (const [name, sizes] of [
      ['uniform groups', uniform],
      ['Zipf groups', zipf(EXPERTS - 4)],
    ] as const) {
      yield* casesOf(kernels, precision, name, sizes);
    }
  }
}

/** ROWS in `count` groups as 1/rank, in an order that mixes large and small, then empty ones. */
function zipf(count: number): number[] {
  const total = Array.from({ length: count }, (_, i) => 1 / (i + 1)).reduce((sum, share) => sum + share);
  const sizes = Array.from({ length: count }, (_, i) => Math.floor(ROWS / ((i + 1) * total)));
  sizes[0]! += ROWS - sizes.reduce((sum, size) => sum + size);
  const mixed = sizes.map((_, i) => sizes[(i * 5) % count]!);
  return [...mixed, ...Array.from({ length: EXPERTS - count }, () => 0)];
}

function* casesOf(
  kernels: Kernels,
  precision: Precision,
  name: string,
  sizes: readonly number[],
): Iterable<Case> {
  const offsets = new Int32Array(EXPERTS + 1);
  for (const [g, size] of sizes.entries()) offsets[g + 1] = offsets[g]! + size;
  const [a, b, c] = [floats(kernels, ROWS * K), floats(kernels, EXPERTS * K * N), floats(kernels, ROWS * N)];
  const dw = floats(kernels, EXPERTS * N * K);
  const packed = kernels.createPacked(K, N, EXPERTS, precision);
  kernels.pack(packed, b, false);
  const dense = kernels.createPacked(K, N, 1, precision);
  kernels.pack(dense, b.subarray(0, K * N), false);
  const one = dw.subarray(0, N * K);
  const work = 2 * ROWS * N * K;
  const whole = Int32Array.of(0, ROWS);
  const against = (product: string, run: () => void): Limit => ({
    name: `dense ${product}`,
    rate: () => rateOf(run, work, WINDOW_MS),
  });
  const title = `${precision} ${name}, ${ROWS} x ${N} x ${K}`;
  yield {
    name: `product ${title}`,
    unit: 'FLOP/s',
    work,
    limit: against('product', () => kernels.gemmPacked(c, a, dense, ROWS)),
    run: () => kernels.groupedGemmPacked(c, a, packed, offsets),
  };
  yield {
    name: `weight gradient ${title}`,
    unit: 'FLOP/s',
    work,
    limit: against('weight gradient', () => kernels.groupedGemmTransposed(one, c, a, whole, N, K, precision)),
    run: () => kernels.groupedGemmTransposed(dw, c, a, offsets, N, K, precision),
  };
}
