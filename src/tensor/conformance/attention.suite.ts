/** Attention over documents and over caches, and rope with clamping, against the reference. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AttentionShape, Kernels, Precision, ScoreChange } from '../kernels.ts';
import { createReferenceKernels } from '../reference/index.ts';
import {
  compareKernels,
  copyOf,
  expectSameBits,
  F32_ROUNDING,
  Inputs,
  sumTolerance,
} from './compare.suite.ts';

const reference = createReferenceKernels();

type ScoreKind = 'none' | 'slopes' | 'cap';

/** What happens to scores: slopes as steep as ALiBi's, or a cap that bends most scores. */
function scoresOf(kind: ScoreKind, heads: number): ScoreChange | undefined {
  if (kind === 'none') return undefined;
  if (kind === 'cap') return { cap: 1.5 };
  return { slopes: Float32Array.from({ length: heads }, (_, h) => 2 ** -(h + 1)) };
}

const shapesOf = (headDims: readonly number[], stretch: number) =>
  fc.record({
    rows: fc.integer({ min: 0, max: 90 * stretch }),
    groupSize: fc.integer({ min: 1, max: 4 }),
    kvHeads: fc.integer({ min: 1, max: 3 }),
    headDim: fc.constantFrom(...headDims),
    seed: fc.nat(),
    change: fc.constantFrom<ScoreKind>('none', 'none', 'slopes', 'cap'),
  });

const ROPE_HEAD_DIMS = [2, 6, 8, 16, 20, 32, 64];

const shapeOf = (p: {
  rows: number;
  groupSize: number;
  kvHeads: number;
  headDim: number;
  change: ScoreKind;
}): AttentionShape => ({
  scores: scoresOf(p.change, p.groupSize * p.kvHeads),
  rows: p.rows,
  heads: p.groupSize * p.kvHeads,
  kvHeads: p.kvHeads,
  headDim: p.headDim,
});

/** The first row each row attends: documents of random lengths, and here and there a window that moves on inside one. */
function documents(inputs: Inputs, rows: number): Int32Array {
  const firstKey = new Int32Array(rows);
  for (let r = 1; r < rows; r++) {
    const before = firstKey[r - 1];
    const event = inputs.below(30);
    firstKey[r] = event === 0 ? r : event === 1 ? before + inputs.below(r - before + 1) : before;
  }
  return firstKey;
}

/**
 * f32: scores are sums of P products and outputs sums over the keys, exponentials are good to a few roundings of the
 * exponent (|score| below 64 here, so 64 more). bf16: probabilities and their gradients may be rounded too, 2^-9 each,
 * twice per term of the backward sums, whose terms cancel to about half.
 */
function tolerance(precision: Precision, shape: AttentionShape): number {
  return precision === 'bf16' ? 2 ** -7 : 64 * F32_ROUNDING + 4 * sumTolerance(shape.headDim + shape.rows);
}

function checkAttention(kernels: Kernels, shape: AttentionShape, seed: number, precision: Precision): void {
  const { rows, heads, kvHeads, headDim } = shape;
  const inputs = new Inputs(seed);
  const columns = (heads + 2 * kvHeads) * headDim;
  const qkv = inputs.normal(rows * columns);
  const dout = inputs.normal(rows * heads * headDim);
  const firstKey = documents(inputs, rows);
  const scale = 1 / Math.sqrt(headDim);
  const forward = (by: Kernels) => {
    const out = new Float32Array(rows * heads * headDim).fill(7);
    const lse = new Float32Array(rows * heads).fill(7);
    by.attentionForward(out, lse, qkv, firstKey, shape, scale, precision);
    return { out, lse };
  };
  compareKernels(kernels, forward, tolerance(precision, shape));
  const { out, lse } = forward(reference);
  compareKernels(
    kernels,
    (by) => {
      const dqkv = new Float32Array(rows * columns).fill(7);
      by.attentionBackward(dqkv, dout, qkv, out, lse, firstKey, shape, scale, precision);
      return { dqkv };
    },
    2 * tolerance(precision, shape),
  );
}

function checkCached(kernels: Kernels, shape: AttentionShape, seed: number, window: number): void {
  const { heads, kvHeads, headDim } = shape;
  const inputs = new Inputs(seed);
  const [slotCount, cacheLength] = [3, 50];
  const lengths = Array.from({ length: slotCount }, () => inputs.below(20));
  const slots: number[] = [];
  const positions: number[] = [];
  for (let r = 0; r < Math.min(shape.rows, 60); r++) {
    const slot = inputs.below(slotCount);
    if (lengths[slot] === cacheLength) continue;
    slots.push(slot);
    positions.push(lengths[slot]++);
  }
  const rows = slots.length;
  const keys = inputs.normal(slotCount * cacheLength * kvHeads * headDim);
  const values = inputs.normal(keys.length);
  const qkv = inputs.normal(rows * (heads + 2 * kvHeads) * headDim);
  const own = { ...shape, rows };
  compareKernels(
    kernels,
    (by) => {
      const [keyCache, valueCache] = [copyOf(keys), copyOf(values)];
      const out = new Float32Array(rows * heads * headDim);
      const places = [Int32Array.from(slots), Int32Array.from(positions)] as const;
      const sizes = [cacheLength, headDim ** -0.5, window] as const;
      by.attentionCached(out, keyCache, valueCache, qkv, ...places, own, ...sizes);
      return { out, keyCache, valueCache };
    },
    tolerance('f32', { ...own, rows: cacheLength }),
  );
}

function checkRope(
  kernels: Kernels,
  shape: AttentionShape,
  seed: number,
  clip: number,
  masked: boolean,
): void {
  const { rows, heads, kvHeads, headDim } = shape;
  const inputs = new Inputs(seed);
  const qkv = inputs.normal(rows * (heads + 2 * kvHeads) * headDim);
  const half = headDim / 2;
  const angles = Float32Array.from({ length: 40 * half }, (_, i) => i * 0.37);
  const [cos, sin] = [angles.map(Math.cos), angles.map(Math.sin)];
  const positions = inputs.integers(rows, 40);
  compareKernels(
    kernels,
    (by) => {
      const rotated = copyOf(qkv);
      const mask = masked ? new Uint8Array(qkv.length).fill(9) : null;
      by.ropeClipForward(rotated, mask, positions, cos, sin, shape, clip);
      const back = copyOf(qkv);
      by.ropeClipBackward(back, mask, positions, cos, sin, shape);
      return { rotated, back, mask: mask ?? new Uint8Array(0) };
    },
    4 * F32_ROUNDING,
  );
}

export function describeAttention(create: () => Kernels, headDims: readonly number[], stretch: number): void {
  describe('attention', () => {
    const shapes = shapesOf(headDims, stretch);

    it.each(['f32', 'bf16'] as const)('attends within documents, in %s', (precision) => {
      const kernels = create();
      fc.assert(
        fc.property(shapes, (p) => checkAttention(kernels, shapeOf(p), p.seed, precision)),
        { numRuns: 25 },
      );
      for (const kind of ['none', 'slopes', 'cap'] as const) {
        const shape = { rows: 300, heads: 4, kvHeads: 2, headDim: 64, scores: scoresOf(kind, 4) };
        checkAttention(kernels, shape, 5, precision);
      }
    });

    it('attends over caches, prefill and decode mixed', () => {
      const kernels = create();
      fc.assert(
        fc.property(shapes, fc.constantFrom(0, 0, 1, 7, 100), (p, window) =>
          checkCached(kernels, shapeOf(p), p.seed, window),
        ),
        { numRuns: 25 },
      );
    });

    it('gives a row alone what it gives among others, to the bit', () => {
      const kernels = create();
      const shape = { rows: 1, heads: 4, kvHeads: 2, headDim: 16 };
      const inputs = new Inputs(3);
      const [keys, values] = [inputs.normal(2 * 20 * 32), inputs.normal(2 * 20 * 32)];
      const qkv = inputs.normal(2 * 8 * 16);
      const both = new Float32Array(2 * 64);
      const alone = new Float32Array(64);
      const cached = (out: Float32Array, rows: Float32Array, slots: number[], positions: number[]) =>
        kernels.attentionCached(
          out,
          copyOf(keys),
          copyOf(values),
          rows,
          Int32Array.from(slots),
          Int32Array.from(positions),
          { ...shape, rows: slots.length },
          20,
          0.25,
        );
      cached(both, qkv, [0, 1], [17, 9]);
      cached(alone, qkv.subarray(128), [1], [9]);
      expectSameBits('out', alone, both.subarray(64));
    });

    it('clamps and rotates, there and back', () => {
      const kernels = create();
      fc.assert(
        fc.property(
          shapesOf(ROPE_HEAD_DIMS, stretch),
          fc.constantFrom(0, 0.5, 8),
          fc.boolean(),
          (p, clip, masked) => checkRope(kernels, shapeOf(p), p.seed, clip, masked),
        ),
        { numRuns: 40 },
      );
    });

    it('rejects rows that attend outside, and places outside the cache', () => {
      const kernels = create();
      const shape = { rows: 2, heads: 1, kvHeads: 1, headDim: 8 };
      const f32 = (length: number) => new Float32Array(length);
      const forward = (...firstKey: number[]) =>
        kernels.attentionForward(f32(16), f32(2), f32(48), Int32Array.from(firstKey), shape, 1, 'f32');
      expect(() => forward(0, 0)).not.toThrow();
      expect(() => forward(0, 2)).toThrow();
      expect(() => forward(-1, 0)).toThrow();
      expect(() => forward(0)).toThrow();
      const cached = (slot: number, position: number) =>
        kernels.attentionCached(
          f32(8),
          f32(32),
          f32(32),
          f32(24),
          Int32Array.of(slot),
          Int32Array.of(position),
          { ...shape, rows: 1 },
          2,
          1,
        );
      expect(() => cached(1, 1)).not.toThrow();
      expect(() => cached(2, 0)).toThrow();
      expect(() => cached(0, 2)).toThrow();
      expect(() => cached(0, -1)).toThrow();
      const tables = [f32(12), f32(12)] as const;
      const rope = (position: number) =>
        kernels.ropeClipForward(f32(24), null, Int32Array.of(position), ...tables, { ...shape, rows: 1 }, 0);
      expect(() => rope(2)).not.toThrow();
      expect(() => rope(3)).toThrow();
    });
  });
}
