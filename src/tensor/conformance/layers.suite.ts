/** Norms, GLU, embedding, router, dispatch against the reference. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Activation, Kernels } from '../kernels.ts';
import { createReferenceKernels } from '../reference/index.ts';
import {
  compareKernels,
  copyOf,
  F32_ROUNDING,
  filled,
  Inputs,
  largestOf,
  sumTolerance,
} from './compare.suite.ts';

const shapesOf = (stretch: number) =>
  fc.record({
    rows: fc.integer({ min: 0, max: 80 * stretch }),
    dim: fc.integer({ min: 1, max: 150 * stretch }),
    seed: fc.nat(),
    accumulate: fc.boolean(),
  });

interface Shape {
  readonly rows: number;
  readonly dim: number;
  readonly seed: number;
  readonly accumulate: boolean;
}

const reference = createReferenceKernels();

const LARGE: Shape = { rows: 301, dim: 259, seed: 11, accumulate: true };

/** Φ by Abramowitz and Stegun 7.1.26 is good to 1.5e-7, 3 roundings of 1; with exp and the products around it 16. */
const ACTIVATION_TOLERANCE = 16 * F32_ROUNDING;

/** Epsilon 1e-2 keeps rstd below 10 where a short row hardly varies, so that no rounding of x is blown up further. */
function checkNorms(kernels: Kernels, { rows, dim, seed, accumulate }: Shape): void {
  const inputs = new Inputs(seed);
  const [x, dy, weight] = [inputs.normal(rows * dim), inputs.normal(rows * dim), inputs.normal(dim)];
  const [dx, dweight] = [inputs.normal(rows * dim), inputs.normal(dim)];
  // rstd is at most 10 and |x̂| at most sqrt(dim)
  const size = 10 * (largestOf(dy) * largestOf(weight) + largestOf(dx));
  const gradients = filled(rows * dim, size);
  const weightSums = filled(dim, largestOf(dweight) + largestOf(dy) * Math.sqrt(dim * rows));
  compareKernels(
    kernels,
    (by) => {
      const y = new Float32Array(rows * dim);
      const [mean, rstd] = [new Float32Array(rows), new Float32Array(rows)];
      by.layerNormForward(y, mean, rstd, x, weight, rows, dim, 1e-2);
      const rmsY = new Float32Array(rows * dim);
      const rmsRstd = new Float32Array(rows);
      by.rmsNormForward(rmsY, rmsRstd, x, weight, rows, dim, 1e-2);
      const layer = { dx: copyOf(dx), dweight: copyOf(dweight) };
      by.layerNormBackward(layer.dx, layer.dweight, dy, x, weight, mean, rstd, rows, dim, accumulate);
      const rms = { dx: copyOf(dx), dweight: copyOf(dweight) };
      by.rmsNormBackward(rms.dx, rms.dweight, dy, x, weight, rmsRstd, rows, dim, accumulate);
      return {
        y,
        rstd,
        rmsY,
        rmsRstd,
        layerDx: layer.dx,
        layerDweight: layer.dweight,
        rmsDx: rms.dx,
        rmsDweight: rms.dweight,
      };
    },
    4 * sumTolerance(Math.max(dim, rows)),
    {
      y: filled(rows * dim, 10 * largestOf(x) * largestOf(weight)),
      layerDx: gradients,
      rmsDx: gradients,
      layerDweight: weightSums,
      rmsDweight: weightSums,
    },
  );
}

/** The norm of `groups` groups of `dim` columns among others, out of place and, backward, in place. */
function checkColumnNorm(kernels: Kernels, { rows, dim, seed }: Shape, groups: number): void {
  const inputs = new Inputs(seed);
  const [first, last] = [inputs.below(9), inputs.below(9)];
  const shape = { rows, columns: first + groups * dim + last, first, groups, dim };
  const count = rows * shape.columns;
  const [x, dy, before, weight] = [
    inputs.normal(count),
    inputs.normal(count),
    inputs.normal(count),
    inputs.normal(dim),
  ];
  const dweight = inputs.normal(dim);
  const size = 10 * (largestOf(dy) * largestOf(weight) + largestOf(before));
  compareKernels(
    kernels,
    (by) => {
      const [y, dx, inPlace, sums] = [copyOf(before), copyOf(before), copyOf(dy), copyOf(dweight)];
      const rstd = new Float32Array(rows * groups);
      by.columnNormForward(y, rstd, x, weight, shape, 1e-2);
      by.columnNormBackward(dx, sums, dy, x, weight, rstd, shape);
      by.columnNormBackward(inPlace, copyOf(dweight), inPlace, x, weight, rstd, shape);
      return { y, rstd, dx, inPlace, sums };
    },
    4 * sumTolerance(Math.max(dim, rows * groups)),
    {
      y: filled(count, 10 * largestOf(x) * largestOf(weight) + largestOf(before)),
      dx: filled(count, size),
      inPlace: filled(count, size),
      sums: filled(dim, largestOf(dweight) + largestOf(dy) * Math.sqrt(dim * rows * groups)),
    },
  );
}

function checkGlu(kernels: Kernels, { rows, dim, seed }: Shape, activation: Activation): void {
  const inputs = new Inputs(seed);
  const [gateUp, dh] = [inputs.normal(rows * 2 * dim, 3), inputs.normal(rows * dim)];
  const size = Math.max(1, largestOf(gateUp)) ** 2;
  const gradients = filled(gateUp.length, size * largestOf(dh));
  compareKernels(
    kernels,
    (by) => {
      const h = new Float32Array(rows * dim);
      by.gluForward(h, gateUp, rows, dim, activation);
      const dGateUp = new Float32Array(gateUp.length);
      by.gluBackward(dGateUp, dh, gateUp, rows, dim, activation);
      const inPlace = copyOf(gateUp);
      by.gluBackward(inPlace, dh, inPlace, rows, dim, activation);
      return { h, dGateUp, inPlace };
    },
    ACTIVATION_TOLERANCE,
    { h: filled(dh.length, size), dGateUp: gradients, inPlace: gradients },
  );
}

function checkEmbedding(kernels: Kernels, { rows, dim, seed }: Shape): void {
  const inputs = new Inputs(seed);
  const vocab = 1 + inputs.below(20);
  const [table, dy, dtable] = [vocab, rows, vocab].map((count) => inputs.normal(count * dim));
  const ids = inputs.integers(rows, vocab);
  const run = (by: Kernels, gradient: Float32Array, start: Float32Array) => {
    const y = new Float32Array(rows * dim);
    by.embeddingForward(y, table, ids, rows, dim);
    const sums = copyOf(start);
    by.embeddingBackward(sums, ids, gradient, rows, dim);
    return { y, sums };
  };
  const { sums } = run(reference, dy.map(Math.abs), dtable.map(Math.abs));
  compareKernels(kernels, (by) => run(by, dy, dtable), sumTolerance(rows), { sums });
}

function checkRouter(
  kernels: Kernels,
  { rows, seed }: Shape,
  numExperts: number,
  topK: number,
  ties: boolean,
): void {
  const inputs = new Inputs(seed);
  const logits = inputs.normal(rows * numExperts, 2);
  if (ties) logits.set(logits.map(Math.round));
  const [dweights, auxGrad] = [inputs.normal(rows * topK), inputs.normal(numExperts)];
  for (const normalize of [true, false]) {
    compareKernels(
      kernels,
      (by) => {
        const probs = new Float32Array(logits.length);
        const weights = new Float32Array(rows * topK);
        const experts = new Int32Array(rows * topK);
        by.routerForward(probs, weights, experts, logits, rows, numExperts, topK, normalize);
        const dlogits = new Float32Array(logits.length);
        by.routerBackward(dlogits, dweights, auxGrad, probs, experts, rows, numExperts, topK, normalize);
        return { probs, weights, experts, dlogits };
      },
      4 * sumTolerance(numExperts),
      { dlogits: filled(logits.length, 2 * (numExperts * largestOf(dweights) + largestOf(auxGrad))) },
    );
  }
}

function checkDispatch(kernels: Kernels, { rows, dim, seed, accumulate }: Shape, topK: number): void {
  const inputs = new Inputs(seed);
  const numExperts = topK + inputs.below(8);
  const slots = rows * topK;
  const experts = inputs.integers(slots, numExperts);
  const [x, weights, ys] = [inputs.normal(rows * dim), inputs.normal(slots), inputs.normal(slots * dim)];
  const start = inputs.normal(rows * dim);
  const run = (by: Kernels, values: (array: Float32Array) => Float32Array) => {
    const [slotOf, tokenOf] = [new Int32Array(slots), new Int32Array(slots)];
    const offsets = new Int32Array(numExperts + 1).fill(5);
    by.buildPermutation(slotOf, tokenOf, offsets, experts, rows, topK, numExperts);
    const gathered = new Float32Array(slots * dim);
    by.gatherRows(gathered, x, tokenOf, slots, dim);
    const dx = values(start);
    by.gatherRowsBackward(dx, values(ys), slotOf, rows, topK, dim, accumulate);
    const y = values(start);
    by.combineForward(y, values(ys), values(weights), slotOf, rows, topK, dim, accumulate);
    const inPlace = values(ys);
    const dweights = new Float32Array(slots);
    by.combineBackward(inPlace, dweights, values(x), inPlace, values(weights), slotOf, rows, topK, dim);
    return { slotOf, tokenOf, offsets, gathered, dx, y, inPlace, dweights };
  };
  const { dx, y, dweights } = run(reference, (array) => array.map(Math.abs));
  compareKernels(kernels, (by) => run(by, copyOf), sumTolerance(dim), { dx, y, dweights });
}

export function describeLayers(create: () => Kernels, stretch: number): void {
  const shapes = shapesOf(stretch);

  describe('norm, GLU, embedding', () => {
    it('normalizes, forward and backward', () => {
      const kernels = create();
      fc.assert(fc.property(shapes, (p) => checkNorms(kernels, p)));
      checkNorms(kernels, LARGE);
    });

    it('norms groups of columns and leaves the others', () => {
      const kernels = create();
      fc.assert(
        fc.property(shapes, fc.integer({ min: 1, max: 5 }), (p, groups) =>
          checkColumnNorm(kernels, p, groups),
        ),
        { numRuns: 40 },
      );
      checkColumnNorm(kernels, { ...LARGE, dim: 64 }, 6);
    });

    it.each(['silu', 'gelu', 'gelu-tanh'] as const)(
      'gates by %s, forward and backward, in place too',
      (activation) => {
        const kernels = create();
        fc.assert(
          fc.property(shapes, (p) => checkGlu(kernels, p, activation)),
          { numRuns: 50 },
        );
        checkGlu(kernels, LARGE, activation);
      },
    );

    it('embeds, and adds up gradients of equal ids', () => {
      const kernels = create();
      fc.assert(
        fc.property(shapes, (p) => checkEmbedding(kernels, p)),
        { numRuns: 50 },
      );
      checkEmbedding(kernels, LARGE);
      const [y, table] = [new Float32Array(2), new Float32Array(6)];
      expect(() => kernels.embeddingForward(y, table, Int32Array.of(3), 1, 2)).toThrow();
      expect(() => kernels.embeddingForward(y, table, Int32Array.of(-1), 1, 2)).toThrow();
      expect(() => kernels.embeddingBackward(table, Int32Array.of(3), y, 1, 2)).toThrow();
    });
  });

  describe('routing', () => {
    it('chooses experts, ties to the lower index', () => {
      const kernels = create();
      const sizes = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 8 }));
      fc.assert(
        fc.property(shapes, sizes, fc.boolean(), (p, [numExperts, topK], ties) =>
          checkRouter(kernels, p, numExperts, Math.min(topK, numExperts), ties),
        ),
      );
      checkRouter(kernels, LARGE, 16, 4, true);
    });

    it('chooses by logits where probs tie by rounding, and distinct experts even among NaN', () => {
      const kernels = create();
      const choose = (...logits: number[]) => {
        const [probs, weights, experts] = [new Float32Array(3), new Float32Array(2), new Int32Array(2)];
        kernels.routerForward(probs, weights, experts, Float32Array.from(logits), 1, 3, 2, true);
        return [...experts];
      };
      expect(choose(1e-8, 2e-8, -1)).toEqual([1, 0]);
      expect(new Set(choose(Number.NaN, Number.NaN, 1)).size).toBe(2);
      expect(choose(Number.NaN, Number.NaN, Number.NaN)).toEqual([0, 1]);
    });

    it('permutes, gathers and combines', () => {
      const kernels = create();
      const topK = fc.integer({ min: 1, max: 5 });
      fc.assert(
        fc.property(shapes, topK, (p, k) => checkDispatch(kernels, p, k)),
        { numRuns: 60 },
      );
      checkDispatch(kernels, LARGE, 4);
    });

    it('rejects experts and slots that do not exist', () => {
      const kernels = create();
      const [two, four] = [new Int32Array(2), new Int32Array(4)];
      expect(() => kernels.buildPermutation(two, two, four, Int32Array.of(0, 3), 1, 2, 3)).toThrow();
      const f32 = (length: number) => new Float32Array(length);
      expect(() => kernels.gatherRows(f32(4), f32(6), Int32Array.of(0, 3), 2, 2)).toThrow();
      const slots = Int32Array.of(0, 2);
      expect(() => kernels.combineForward(f32(2), f32(4), f32(2), slots, 1, 2, 2)).toThrow();
      expect(() => kernels.gatherRowsBackward(f32(2), f32(4), slots, 1, 2, 2)).toThrow();
      expect(() => kernels.routerForward(f32(2), f32(3), new Int32Array(3), f32(2), 1, 2, 3, true)).toThrow();
    });
  });
}
