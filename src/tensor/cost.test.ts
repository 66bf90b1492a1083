/** Costs against sums done by hand. */
import { describe, expect, it } from 'vitest';
import { COSTS, type PackedBytes } from './cost.ts';
import { createReferenceKernels } from './reference/index.ts';

const floats = (length: number) => new Float32Array(length);
const f32: PackedBytes = () => 4;
const bf16Hardware: PackedBytes = (precision) => (precision === 'bf16' ? 2 : 4);
const reference = createReferenceKernels();

describe('costs', () => {
  it('has an entry for every kernel, and no other', () => {
    const machine = ['setThreads', 'allocate', 'measurePeakFlops', 'measureReadBandwidth', 'createPacked'];
    const kernels = Object.entries(reference).flatMap(([name, value]) =>
      typeof value === 'function' && !machine.includes(name) ? [name] : [],
    );
    expect(Object.keys(COSTS).sort()).toEqual(kernels.sort());
  });

  it('of a packed product: 2 m n k; a, B and c once, c twice when accumulating', () => {
    const b = reference.createPacked(5, 7, 1, 'bf16');
    const [c, a] = [floats(3 * 7), floats(3 * 5)];
    const cost = { flops: 2 * 3 * 5 * 7, precision: 'bf16', bytes: 4 * 3 * 7 + 4 * 3 * 5 + 2 * 5 * 7 };
    expect(COSTS.gemmPacked([c, a, b, 3], bf16Hardware)).toEqual(cost);
    expect(COSTS.gemmPacked([c, a, b, 3, true], bf16Hardware).bytes).toBe(cost.bytes + 4 * 3 * 7);
    expect(COSTS.gemmPacked([c, a, b, 3], f32).bytes).toBe(cost.bytes + 2 * 5 * 7);
  });

  it('of grouped products: an empty group’s weights are not read, its gradient is still written', () => {
    const b = reference.createPacked(5, 7, 3, 'f32');
    const offsets = Int32Array.of(0, 4, 4, 6);
    expect(COSTS.groupedGemmPacked([floats(6 * 7), floats(6 * 5), b, offsets], f32)).toEqual({
      flops: 2 * 6 * 5 * 7,
      precision: 'f32',
      bytes: 4 * (6 * 7 + 6 * 5 + 2 * 5 * 7 + 4),
    });
    const gradient = floats(3 * 7 * 5);
    const transposed = (accumulate: boolean) =>
      COSTS.groupedGemmTransposed(
        [gradient, floats(6 * 7), floats(6 * 5), offsets, 7, 5, 'f32', accumulate],
        f32,
      );
    expect(transposed(false)).toMatchObject({
      flops: 2 * 6 * 7 * 5,
      bytes: 4 * (3 * 7 * 5 + 6 * 7 + 6 * 5 + 4),
    });
    expect(transposed(true).bytes).toBe(4 * (2 * 2 * 7 * 5 + 6 * 7 + 6 * 5 + 4));
  });

  it('of attention: two products forward and four backward for the pairs the documents allow', () => {
    const shape = { rows: 5, heads: 4, kvHeads: 2, headDim: 8 };
    // Documents of 2 and 3 rows: 1 + 2 and 1 + 2 + 3 pairs.
    const firstKey = Int32Array.of(0, 0, 2, 2, 2);
    const [out, lse, qkv] = [floats(5 * 32), floats(4 * 5), floats(5 * 64)];
    const forward = COSTS.attentionForward([out, lse, qkv, firstKey, shape, 1, 'bf16'], f32);
    expect(forward).toEqual({
      flops: 2 * 2 * 9 * 4 * 8,
      precision: 'bf16',
      bytes: 4 * (5 * 32 + 4 * 5 + 5 * 64 + 5),
    });
    const backward = COSTS.attentionBackward([qkv, out, qkv, out, lse, firstKey, shape, 1, 'bf16'], f32);
    expect(backward.flops).toBe(2 * forward.flops);
  });

  it('of attention over a cache: the longest row of a slot reads its keys, the others find them', () => {
    const shape = { rows: 3, heads: 4, kvHeads: 2, headDim: 8 };
    const [out, qkv, cache] = [floats(3 * 32), floats(3 * 64), floats(2 * 9 * 16)];
    const [slots, positions] = [Int32Array.of(0, 0, 1), Int32Array.of(3, 4, 0)];
    expect(COSTS.attentionCached([out, cache, cache, qkv, slots, positions, shape, 9, 1], f32)).toEqual({
      flops: 4 * (4 + 5 + 1) * 4 * 8,
      precision: 'f32',
      bytes: 4 * (3 * 32 + 3 * 64 + 3 + 3 + 2 * (5 + 1 + 3) * 2 * 8),
    });
  });

  it('of kernels bound by memory: bytes alone', () => {
    const options = {
      learningRate: 1,
      beta1: 0,
      beta2: 0,
      epsilon: 1,
      weightDecay: 0,
      step: 1,
      gradScale: 1,
    };
    const [p, m, v, g] = [floats(10), floats(10), floats(10), floats(10)];
    expect(COSTS.adamw([p, m, v, g, options], f32)).toEqual({
      flops: 0,
      precision: 'f32',
      bytes: 4 * 7 * 10,
    });
    const targets = new Int32Array(2);
    expect(COSTS.softmaxCrossEntropy([floats(2), floats(20), targets, 2, 10, 0], f32).bytes).toBe(4 * 24);
    expect(COSTS.softmaxCrossEntropy([floats(2), floats(20), targets, 2, 10, 1], f32).bytes).toBe(4 * 44);
    // Ids 3, 1, 3: two rows of the table are read and written, three of dy read.
    const ids = Int32Array.of(3, 1, 3);
    expect(COSTS.embeddingBackward([floats(40), ids, floats(30), 3, 10], f32).bytes).toBe(4 * (40 + 30 + 3));
  });
});
