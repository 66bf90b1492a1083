/** Softmax, cross-entropy and AdamW against the reference. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kernels } from '../kernels.ts';
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

const reference = createReferenceKernels();

const shapesOf = (stretch: number) =>
  fc.record({
    rows: fc.integer({ min: 0, max: 30 * stretch }),
    dim: fc.integer({ min: 1, max: 300 * stretch }),
    seed: fc.nat(),
    accumulate: fc.boolean(),
  });

function checkCrossEntropy(
  kernels: Kernels,
  rows: number,
  vocab: number,
  seed: number,
  gradScale: number,
): void {
  const inputs = new Inputs(seed);
  const logits = inputs.normal(rows * vocab, 4);
  const targets = inputs.integers(rows, vocab).map((target) => (target % 5 === 4 ? -1 : target));
  const run = (by: Kernels) => {
    const [losses, gradients] = [new Float32Array(rows).fill(7), copyOf(logits)];
    by.softmaxCrossEntropy(losses, gradients, targets, rows, vocab, gradScale);
    return { losses, gradients };
  };
  const expected = run(reference);
  // a loss is the difference of numbers near 1; gradients are relative to themselves, of the target to gradScale
  const losses = expected.losses.map((loss) => Math.max(1, Math.abs(loss)));
  const gradients = expected.gradients.map(Math.abs);
  targets.forEach((target, r) => {
    if (target >= 0 && gradScale !== 0) gradients[r * vocab + target] = gradScale;
  });
  // the exponents (below 64) are rounded before exp, which is good to 4 roundings
  compareKernels(kernels, run, 64 * F32_ROUNDING + sumTolerance(vocab), { losses, gradients });
}

function checkSoftmax(kernels: Kernels, rows: number, dim: number, seed: number, accumulate: boolean): void {
  const inputs = new Inputs(seed);
  const [x, dy, dx] = [inputs.normal(rows * dim, 3), inputs.normal(rows * dim), inputs.normal(rows * dim)];
  compareKernels(
    kernels,
    (by) => {
      const [y, gradient] = [new Float32Array(rows * dim), copyOf(dx)];
      by.softmaxForward(y, x, rows, dim);
      by.softmaxBackward(gradient, dy, y, rows, dim, accumulate);
      return { y, gradient };
    },
    64 * F32_ROUNDING + 4 * sumTolerance(dim),
    { gradient: filled(rows * dim, 2 * largestOf(dy) + largestOf(dx)) },
  );
}

/** A few operations an element, none of which cancels much: 16 roundings. */
function checkAdamW(kernels: Kernels, length: number, seed: number, step: number): void {
  const inputs = new Inputs(seed);
  const [param, m, grad] = [inputs.normal(length), inputs.normal(length), inputs.normal(length)];
  const v = inputs.normal(length).map(Math.abs);
  const options = {
    learningRate: 3e-3,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0.1,
    step,
    gradScale: 0.7,
  };
  const run = (by: Kernels, values: (array: Float32Array) => Float32Array) => {
    const state = { param: values(param), m: values(m), v: values(v), grad: values(grad) };
    by.adamw(state.param, state.m, state.v, state.grad, options);
    return state;
  };
  // m of terms of one sign; a step where v is small may be larger than the parameter it moves
  const magnitudes = run(reference, (array) => array.map(Math.abs));
  magnitudes.param = magnitudes.param.map((after, i) => 2 * Math.abs(param[i]) + Math.abs(after));
  compareKernels(kernels, (by) => run(by, copyOf), 16 * F32_ROUNDING, magnitudes);
}

export function describeLoss(create: () => Kernels, stretch: number): void {
  describe('loss and optimizer', () => {
    const shapes = shapesOf(stretch);

    it('measures cross-entropy and its gradient, ignored targets too', () => {
      const kernels = create();
      fc.assert(
        fc.property(shapes, fc.constantFrom(0, 1, 1 / 64), (p, gradScale) =>
          checkCrossEntropy(kernels, p.rows, p.dim, p.seed, gradScale),
        ),
      );
      checkCrossEntropy(kernels, 3, 100_003, 1, 1);
      checkCrossEntropy(kernels, 900, 65, 2, 1);
    });

    it('survives logits far from zero', () => {
      const kernels = create();
      const [losses, logits] = [new Float32Array(2), Float32Array.of(1e4, 0, -1e4, -1e4)];
      kernels.softmaxCrossEntropy(losses, logits, Int32Array.of(1, 0), 2, 2, 1);
      expect([...losses]).toEqual([1e4, Math.fround(Math.log(2))]);
      expect([...logits]).toEqual([1, -1, -0.5, 0.5]);
    });

    it('rejects targets beyond the vocabulary', () => {
      const kernels = create();
      const [losses, logits] = [new Float32Array(1), new Float32Array(2)];
      expect(() => kernels.softmaxCrossEntropy(losses, logits, Int32Array.of(2), 1, 2, 1)).toThrow();
    });

    it('makes softmax, forward and backward', () => {
      const kernels = create();
      fc.assert(fc.property(shapes, (p) => checkSoftmax(kernels, p.rows, p.dim, p.seed, p.accumulate)));
      checkSoftmax(kernels, 300, 257, 1, true);
    });

    it('updates by AdamW', () => {
      const kernels = create();
      const step = fc.integer({ min: 1, max: 100_000 });
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 500 * stretch }), fc.nat(), step, (length, seed, s) =>
          checkAdamW(kernels, length, seed, s),
        ),
      );
      checkAdamW(kernels, 60_003, 1, 10);
      const two = new Float32Array(2);
      const options = { learningRate: 1, beta1: 0, beta2: 0, epsilon: 1, weightDecay: 0, gradScale: 1 };
      expect(() => kernels.adamw(two, two, two, new Float32Array(3), { ...options, step: 1 })).toThrow();
    });
  });
}
