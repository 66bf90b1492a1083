/**
 * Causal attention, forward and backward, against the multiply-add peak of its precision. Counted are the products that
 * causality leaves: 2 of T (T + 1) / 2 x headDim per head forward, 5 backward. Softmax and packing are not counted.
 */
import type { Kernels, Precision } from '../src/tensor/index.ts';
import { type Case, floats, peakOf } from './measure.ts';

/** sequence length, sequences, query heads, key/value heads, head dimension */
const SHAPES = [
  [64, 32, 4, 2, 32],
  [128, 16, 4, 4, 32],
  [256, 8, 6, 6, 64],
  [256, 8, 4, 2, 32],
  [512, 4, 8, 4, 64],
  [512, 1, 4, 1, 64],
] as const;

export default function* attention(kernels: Kernels): Iterable<Case> {
  for (const shape of SHAPES) {
    for (const precision of ['f32', 'bf16'] as const) yield* casesOf(kernels, shape, precision);
  }
}

function* casesOf(
  kernels: Kernels,
  [length, sequences, heads, kvHeads, headDim]: (typeof SHAPES)[number],
  precision: Precision,
): Iterable<Case> {
  const rows = length * sequences;
  const shape = { rows, heads, kvHeads, headDim };
  const qkv = floats(kernels, rows * (heads + 2 * kvHeads) * headDim);
  const dqkv = floats(kernels, qkv.length);
  const out = floats(kernels, rows * heads * headDim);
  const dout = floats(kernels, out.length);
  const lse = floats(kernels, rows * heads);
  const firstKey = Int32Array.from({ length: rows }, (_, r) => r - (r % length));
  const scale = headDim ** -0.5;
  const product = sequences * heads * length * (length + 1) * headDim;
  const name = `${precision} T ${length} B ${sequences} heads ${heads}/${kvHeads} dim ${headDim}`;
  const limit = peakOf(kernels, precision);
  yield {
    name: `forward ${name}`,
    unit: 'FLOP/s',
    work: 2 * product,
    limit,
    run: () => kernels.attentionForward(out, lse, qkv, firstKey, shape, scale, precision),
  };
  yield {
    name: `backward ${name}`,
    unit: 'FLOP/s',
    work: 5 * product,
    limit,
    run: () => kernels.attentionBackward(dqkv, dout, qkv, out, lse, firstKey, shape, scale, precision),
  };
}
