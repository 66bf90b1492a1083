/**
 * Causal attention, forward and backward, against a plain product of 1024 cubed in the same precision, and against the
 * multiply-add peak. Counted are the products that causality and the document mask leave: 2 of T (T + 1) / 2 x headDim per
 * head and document forward, 5 backward. Softmax and packing are not counted.
 */
import type { Kernels, Precision } from '../src/tensor/index.ts';
import { type Case, floats, type Limit, peakOf, rateOf } from './measure.ts';

/** tokens of a document, documents, query heads, key/value heads, head dimension */
const SHAPES = [
  [64, 32, 4, 2, 32],
  [256, 8, 6, 6, 64],
  [256, 8, 4, 2, 32],
  [256, 8, 4, 4, 128],
  [1024, 2, 6, 6, 64],
  [1024, 2, 8, 2, 64],
  [1024, 2, 4, 4, 128],
  [4096, 1, 4, 4, 64],
  [4096, 1, 4, 1, 128],
] as const;
/** lengths of documents in one row of 1024 tokens */
const MASKED = [300, 37, 500, 187];
const PRODUCT = 1024;

export default function* attention(kernels: Kernels): Iterable<Case> {
  for (const precision of ['f32', 'bf16'] as const) {
    const limit = productOf(kernels, precision);
    for (const [length, documents, heads, kvHeads, headDim] of SHAPES) {
      const lengths = Array.from({ length: documents }, () => length);
      const name = `T ${length} x ${documents} heads ${heads}/${kvHeads} dim ${headDim}`;
      yield* casesOf(kernels, precision, limit, name, lengths, { heads, kvHeads, headDim });
    }
    const shape = { heads: 8, kvHeads: 2, headDim: 64 };
    yield* casesOf(kernels, precision, limit, 'four documents of 1024 heads 8/2 dim 64', MASKED, shape);
  }
}

/** FLOP/s of a product with packed weights. */
function productOf(kernels: Kernels, precision: Precision): Limit {
  const [a, b, c] = [1, 2, 3].map(() => floats(kernels, PRODUCT ** 2));
  const packed = kernels.createPacked(PRODUCT, PRODUCT, 1, precision);
  kernels.pack(packed, b, false);
  const run = () => kernels.gemmPacked(c, a, packed, PRODUCT);
  return { name: `${precision} product`, rate: () => rateOf(run, 2 * PRODUCT ** 3, 40) };
}

/** Forward, backward, and both together. */
function* casesOf(
  kernels: Kernels,
  precision: Precision,
  limit: Limit,
  name: string,
  lengths: readonly number[],
  heads: { readonly heads: number; readonly kvHeads: number; readonly headDim: number },
): Iterable<Case> {
  const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, length) => sum + length, 0));
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const shape = { rows, ...heads };
  const qkv = floats(kernels, rows * (shape.heads + 2 * shape.kvHeads) * shape.headDim);
  const dqkv = floats(kernels, qkv.length);
  const out = floats(kernels, rows * shape.heads * shape.headDim);
  const dout = floats(kernels, out.length);
  const lse = floats(kernels, rows * shape.heads);
  const firstKey = Int32Array.from({ length: rows }, (_, r) => starts.findLast((start) => start <= r)!);
  const scale = shape.headDim ** -0.5;
  const pairs = lengths.reduce((sum, length) => sum + (length * (length + 1)) / 2, 0);
  const product = 2 * shape.heads * pairs * shape.headDim;
  const forward = () => kernels.attentionForward(out, lse, qkv, firstKey, shape, scale, precision);
  const backward = () =>
    kernels.attentionBackward(dqkv, dout, qkv, out, lse, firstKey, shape, scale, precision);
  forward();
  const both = () => {
    forward();
    backward();
  };
  for (const [pass, products, run] of [
    ['forward', 2, forward],
    ['backward', 5, backward],
    ['both', 7, both],
  ] as const) {
    const peers = [peakOf(kernels, precision)];
    const work = products * product;
    yield {
      name: `${pass} ${precision} ${name}`,
      unit: 'FLOP/s',
      work,
      limit,
      peers,
      windowMs: 40,
      run,
    };
  }
}
