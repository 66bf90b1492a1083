/** Products of all forms against the reference, and one row alone against the same row among many. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Kernels, PACKED_FORMATS, type PackedFormat, type Precision } from '../kernels.ts';
import { createReferenceKernels } from '../reference/index.ts';
import { compareKernels, copyOf, expectSameBits, F32_ROUNDING, Inputs } from './compare.suite.ts';

const PRECISIONS: readonly Precision[] = ['f32', 'bf16'];
const reference = createReferenceKernels();

/** Any order of n additions and products, in f32, relative to Σ|a·b|; the same for bf16, whose products are exact in f32. */
const productTolerance = (n: number) => (2 * n + 4) * F32_ROUNDING;

/** Offsets of `groups` ranges over about `rows` rows, some empty. */
function randomOffsets(inputs: Inputs, rows: number, groups: number): Int32Array {
  const offsets = new Int32Array(groups + 1);
  for (let g = 0; g < groups; g++) {
    const size = inputs.below(3) === 0 ? 0 : inputs.below(Math.ceil((2 * rows) / groups) + 1);
    offsets[g + 1] = offsets[g] + size;
  }
  return offsets;
}

const shapesOf = (stretch: number) => ({
  m: fc.integer({ min: 0, max: 70 * stretch }),
  n: fc.integer({ min: 1, max: 100 * stretch }),
  k: fc.integer({ min: 0, max: 130 * stretch }),
  seed: fc.nat(),
  accumulate: fc.boolean(),
  precision: fc.constantFrom(...PRECISIONS),
});

function checkGrouped(
  kernels: Kernels,
  sizes: { m: number; n: number; k: number; groups: number; seed: number },
  options: { accumulate: boolean; format: PackedFormat; transposed: boolean },
): void {
  const { n, k, groups } = sizes;
  const { accumulate, format, transposed } = options;
  const inputs = new Inputs(sizes.seed);
  const offsets = groups === 1 ? Int32Array.of(0, sizes.m) : randomOffsets(inputs, sizes.m, groups);
  const rows = offsets[groups];
  const [a, b, c] = [inputs.normal(rows * k), inputs.normal(groups * k * n), inputs.normal(rows * n)];
  const run = (by: Kernels, left: Float32Array, right: Float32Array, start: Float32Array) => {
    const packed = by.createPacked(k, n, groups, format);
    by.pack(packed, right, transposed);
    const out = copyOf(start);
    if (groups === 1) by.gemmPacked(out, left, packed, rows, accumulate);
    else by.groupedGemmPacked(out, left, packed, offsets, accumulate);
    return { c: out };
  };
  const magnitudes = run(reference, a.map(Math.abs), b.map(Math.abs), c.map(Math.abs));
  compareKernels(kernels, (by) => run(by, a, b, c), productTolerance(k), magnitudes);
}

function checkGemm(
  kernels: Kernels,
  sizes: { m: number; n: number; k: number; seed: number },
  options: { transA: boolean; transB: boolean; accumulate: boolean; precision: Precision },
): void {
  const { m, n, k, seed } = sizes;
  const inputs = new Inputs(seed);
  const [a, b, c] = [inputs.normal(m * k), inputs.normal(k * n), inputs.normal(m * n)];
  const run = (by: Kernels, left: Float32Array, right: Float32Array, start: Float32Array) => {
    const out = copyOf(start);
    by.gemm(out, left, right, { m, n, k, ...options });
    return { c: out };
  };
  const magnitudes = run(reference, a.map(Math.abs), b.map(Math.abs), c.map(Math.abs));
  compareKernels(kernels, (by) => run(by, a, b, c), productTolerance(k), magnitudes);
}

function checkTransposed(
  kernels: Kernels,
  sizes: { m: number; n: number; k: number; groups: number; seed: number },
  options: { accumulate: boolean; precision: Precision },
): void {
  const { n, k, groups } = sizes;
  const inputs = new Inputs(sizes.seed);
  const offsets = randomOffsets(inputs, sizes.m, groups);
  const rows = offsets[groups];
  const [a, b, c] = [inputs.normal(rows * n), inputs.normal(rows * k), inputs.normal(groups * n * k)];
  const run = (by: Kernels, left: Float32Array, right: Float32Array, start: Float32Array) => {
    const out = copyOf(start);
    by.groupedGemmTransposed(out, left, right, offsets, n, k, options.precision, options.accumulate);
    return { c: out };
  };
  const magnitudes = run(reference, a.map(Math.abs), b.map(Math.abs), c.map(Math.abs));
  compareKernels(kernels, (by) => run(by, a, b, c), productTolerance(rows), magnitudes);
}

export function describeMatrix(create: () => Kernels, stretch: number): void {
  describe('matrix', () => {
    const shapes = shapesOf(stretch);
    const groups = fc.integer({ min: 1, max: 5 });

    it('multiplies packed matrices, of one group or several', () => {
      const kernels = create();
      fc.assert(
        fc.property(
          fc.record({
            ...shapes,
            groups,
            format: fc.constantFrom(...PACKED_FORMATS),
            transposed: fc.boolean(),
          }),
          (p) => checkGrouped(kernels, p, p),
        ),
        { numRuns: 100 },
      );
    });

    it('multiplies plain matrices in all four forms', () => {
      const kernels = create();
      const forms = { transA: fc.boolean(), transB: fc.boolean() };
      fc.assert(
        fc.property(fc.record({ ...shapes, ...forms }), (p) => {
          const { transA, transB, accumulate, precision } = p;
          checkGemm(kernels, p, { transA, transB, accumulate, precision });
        }),
        { numRuns: 60 },
      );
    });

    it('makes weight gradients of groups, zeros for empty ones', () => {
      const kernels = create();
      fc.assert(
        fc.property(fc.record({ ...shapes, groups }), (p) => checkTransposed(kernels, p, p)),
        { numRuns: 40 },
      );
    });

    it.each(PACKED_FORMATS)('multiplies packed matrices of sizes beyond every block, as %s', (format) => {
      const kernels = create();
      const options = { accumulate: true, format };
      checkGrouped(kernels, { m: 1, n: 150, k: 1037, groups: 1, seed: 0 }, { ...options, transposed: true });
      checkGrouped(kernels, { m: 70, n: 150, k: 1037, groups: 1, seed: 1 }, { ...options, transposed: true });
      checkGrouped(kernels, { m: 200, n: 50, k: 600, groups: 7, seed: 2 }, { ...options, transposed: false });
    });

    it.each(PRECISIONS)('multiplies sizes beyond every block, in %s', (precision) => {
      const kernels = create();
      const options = { accumulate: true, precision };
      checkTransposed(kernels, { m: 1100, n: 45, k: 57, groups: 3, seed: 3 }, options);
      for (const [transA, transB] of [
        [false, true],
        [true, false],
      ]) {
        checkGemm(kernels, { m: 60, n: 130, k: 700, seed: 4 }, { ...options, transA, transB });
      }
    });

    it('rounds weights to int8 as the reference does, products by their scale rounded first', () => {
      const sizes = { m: 3, n: 94, k: 122, groups: 5, seed: 847712129 };
      checkGrouped(create(), sizes, { accumulate: false, format: 'int8-weights', transposed: true });
    });

    it.each(PACKED_FORMATS)('does not hide a weight that is not a number, as %s', (format) => {
      const kernels = create();
      const packed = kernels.createPacked(4, 2, 1, format);
      kernels.pack(packed, Float32Array.of(5, 1, Number.NaN, 1, 0.1, 1, 1, 1), false);
      const c = new Float32Array(2);
      kernels.gemmPacked(c, new Float32Array(4).fill(1), packed, 1);
      expect(c[0]).toBeNaN();
      expect(c[1]).toBeCloseTo(4, 5);
    });

    it('keeps nothing as int8 of a column whose greatest weight is too small to divide by', () => {
      const kernels = create();
      for (const tiny of [3e-38, 1e-40]) {
        const packed = kernels.createPacked(2, 1, 1, 'int8-weights');
        kernels.pack(packed, Float32Array.of(tiny, 0), false);
        const c = new Float32Array(1).fill(Number.NaN);
        kernels.gemmPacked(c, Float32Array.of(1, 1), packed, 1);
        expect(c[0]).toBe(0);
      }
    });

    it.each(PACKED_FORMATS)('computes one row as it does among 512, to the bit, as %s', (format) => {
      const kernels = create();
      const [k, n, m] = [603, 90, 512];
      const inputs = new Inputs(7);
      const a = inputs.normal(m * k);
      const packed = kernels.createPacked(k, n, 1, format);
      kernels.pack(packed, inputs.normal(k * n), false);
      const c = new Float32Array(m * n);
      kernels.gemmPacked(c, a, packed, m);
      for (const size of [1, 2, 5, 13]) {
        for (const row of [0, 3, 255, 499]) {
          const some = new Float32Array(size * n);
          kernels.gemmPacked(some, a.slice(row * k, (row + size) * k), packed, size);
          expectSameBits(`rows ${row}..${row + size}`, some, c.subarray(row * n, (row + size) * n));
        }
      }
    });

    it('rejects wrong lengths', () => {
      const kernels = create();
      const packed = kernels.createPacked(3, 2, 2, 'f32');
      const f32 = (length: number) => new Float32Array(length);
      expect(() => kernels.pack(packed, f32(11), false)).toThrow();
      expect(() => kernels.gemmPacked(f32(2), f32(3), packed, 1)).toThrow();
      expect(() => kernels.groupedGemmPacked(f32(2), f32(3), packed, Int32Array.of(0, 1))).toThrow();
      expect(() => kernels.groupedGemmPacked(f32(2), f32(3), packed, Int32Array.of(0, 2, 1))).toThrow();
      expect(() => kernels.gemm(f32(4), f32(4), f32(5), { m: 2, n: 2, k: 2 })).toThrow();
    });
  });
}
