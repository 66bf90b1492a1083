/** Element-wise maps and sums against the reference. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BinaryOp, Kernels, UnaryOp } from '../kernels.ts';
import { createReferenceKernels } from '../reference/index.ts';
import { compareKernels, copyOf, F32_ROUNDING, Inputs, sumTolerance } from './compare.suite.ts';

const UNARY_OPS: readonly UnaryOp[] = [
  'neg',
  'exp',
  'log',
  'tanh',
  'sigmoid',
  'silu',
  'gelu',
  'gelu-tanh',
  'relu',
  'square',
  'sqrt',
];
const BINARY_OPS: readonly BinaryOp[] = ['add', 'sub', 'mul', 'div'];

/** Functions made of exp and a division: 4 roundings of exp, the rest around it; relative to the largest value, >= 1. */
const FUNCTION_TOLERANCE = 16 * F32_ROUNDING;

function checkUnary(kernels: Kernels, op: UnaryOp, length: number, seed: number, accumulate: boolean): void {
  const inputs = new Inputs(seed);
  const x = inputs.normal(length, 3);
  if (op === 'log' || op === 'sqrt') x.set(x.map((value) => Math.abs(value) + 0.1));
  const [dy, dx] = [inputs.normal(length), inputs.normal(length)];
  compareKernels(
    kernels,
    (by) => {
      const [y, gradient] = [new Float32Array(length), copyOf(dx)];
      by.unary(op, y, x);
      by.unaryBackward(op, gradient, dy, x, y, accumulate);
      const one = Float32Array.of(1);
      return { y: Float32Array.of(...y, ...one), gradient: Float32Array.of(...gradient, ...one) };
    },
    FUNCTION_TOLERANCE,
  );
}

function checkBinary(kernels: Kernels, op: BinaryOp, rows: number, dim: number, seed: number): void {
  const inputs = new Inputs(seed);
  const [a, b, row] = [inputs.normal(rows * dim), inputs.normal(rows * dim), inputs.normal(dim)];
  compareKernels(
    kernels,
    (by) => {
      const y = new Float32Array(rows * dim);
      by.binary(op, y, a, b);
      const byRow = copyOf(a);
      by.binaryRow(op, byRow, byRow, row, rows, dim);
      const inPlace = copyOf(b);
      by.binary(op, inPlace, a, inPlace);
      return { y, byRow, inPlace };
    },
    F32_ROUNDING,
  );
}

function checkSums(kernels: Kernels, rows: number, dim: number, seed: number, accumulate: boolean): void {
  const inputs = new Inputs(seed);
  const [x, start, y] = [inputs.normal(rows * dim), inputs.normal(dim), inputs.normal(rows * dim)];
  const run = (by: Kernels, values: (array: Float32Array) => Float32Array, alpha: number) => {
    const [sums, scaled] = [values(start), values(y)];
    by.columnSum(sums, values(x), rows, dim, accumulate);
    by.scale(scaled, values(x), alpha, accumulate);
    return { sums, scaled };
  };
  const magnitudes = run(createReferenceKernels(), (array) => array.map(Math.abs), 1.7);
  compareKernels(kernels, (by) => run(by, copyOf, -1.7), sumTolerance(rows), magnitudes);
  // sums in f64: their order is all that differs; the magnitude Σ|x| is below the count here, Σx² of its order
  const count = rows * dim;
  compareKernels(
    kernels,
    (by) => ({ sums: Float64Array.of(by.sum(x), by.sumOfSquares(x)) }),
    (count + 1) * 2 ** -53,
    { sums: Float64Array.of(3 * count, 3 * count) },
  );
}

export function describeElementwise(create: () => Kernels, stretch: number): void {
  describe('elementwise', () => {
    const length = fc.integer({ min: 0, max: 200 * stretch });

    it.each(UNARY_OPS)('maps by %s, forward and backward', (op) => {
      const kernels = create();
      fc.assert(
        fc.property(length, fc.nat(), fc.boolean(), (n, seed, accumulate) =>
          checkUnary(kernels, op, n, seed, accumulate),
        ),
        { numRuns: 30 },
      );
      checkUnary(kernels, op, 50_001, 1, true);
    });

    it('keeps the extremes of exp, tanh and sigmoid', () => {
      const kernels = create();
      const x = Float32Array.of(-1e30, -200, 0, 200, 1e30, Number.NaN);
      const y = new Float32Array(6);
      kernels.unary('exp', y, x);
      expect([...y]).toEqual([0, 0, 1, Infinity, Infinity, NaN]);
      kernels.unary('tanh', y, x);
      expect([...y]).toEqual([-1, -1, 0, 1, 1, NaN]);
      kernels.unary('sigmoid', y, x);
      expect([...y]).toEqual([0, 0, 0.5, 1, 1, NaN]);
    });

    it('computes exp to 4 roundings over its whole range', () => {
      const kernels = create();
      const x = Float32Array.from({ length: 10_000 }, (_, i) => -87 + (i * 175) / 10_000);
      const y = new Float32Array(x.length);
      kernels.unary('exp', y, x);
      let worst = 0;
      for (let i = 0; i < x.length; i++) worst = Math.max(worst, Math.abs(y[i] / Math.exp(x[i]) - 1));
      expect(worst).toBeLessThan(4 * F32_ROUNDING);
    });

    it.each(BINARY_OPS)('combines by %s, in place too', (op) => {
      const kernels = create();
      fc.assert(
        fc.property(length, fc.integer({ min: 1, max: 70 }), fc.nat(), (n, dim, seed) =>
          checkBinary(kernels, op, n, dim, seed),
        ),
        { numRuns: 30 },
      );
      checkBinary(kernels, op, 150, 333, 1);
    });

    it('sums, scales and fills', () => {
      const kernels = create();
      fc.assert(
        fc.property(length, fc.integer({ min: 1, max: 70 }), fc.nat(), fc.boolean(), (n, dim, seed, add) =>
          checkSums(kernels, n, dim, seed, add),
        ),
        { numRuns: 40 },
      );
      checkSums(kernels, 400, 333, 1, false);
      const filled = new Float32Array(40_010);
      kernels.fill(filled.subarray(3, 40_007), 2.5);
      expect(filled.filter((value) => value === 2.5).length).toBe(40_004);
      expect([filled[2], filled[40_007]]).toEqual([0, 0]);
    });

    it('rejects unequal lengths', () => {
      const kernels = create();
      const [two, three] = [new Float32Array(2), new Float32Array(3)];
      expect(() => kernels.unary('exp', two, three)).toThrow();
      expect(() => kernels.unaryBackward('exp', two, two, three, two)).toThrow();
      expect(() => kernels.binary('add', two, two, three)).toThrow();
      expect(() => kernels.binaryRow('add', two, two, three, 1, 2)).toThrow();
      expect(() => kernels.scale(two, three, 1)).toThrow();
      expect(() => kernels.columnSum(two, three, 1, 2)).toThrow();
    });
  });
}
