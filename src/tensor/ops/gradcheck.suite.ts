/** Gradients of an op checked against central finite differences, in float64 with the reference kernels. */
import { expect } from 'vitest';
import { Rng } from '../../base/index.ts';
import { Arena } from '../arena.ts';
import { createReferenceKernels } from '../reference/index.ts';
import { Tape } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/**
 * `build` computes any output from the inputs; the scalar checked is the sum of its elements times fixed random
 * weights (or, for `isLoss`, the scalar output itself). Central differences with step h = 1e-5 have an error of about h² + 1e-16 / h = 1e-10, relative to values
 * and third derivatives of order 1 to 100; the bound of 1e-6 leaves that room.
 */
export function checkGradients(
  shapes: readonly (readonly number[])[],
  build: (tape: Tape, inputs: readonly Tensor[]) => Tensor,
  options: { seed?: number; isLoss?: boolean } = {},
): void {
  const kernels = createReferenceKernels();
  const rng = new Rng(options.seed ?? 1);
  const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  const values = shapes.map((shape) => Float64Array.from({ length: size(shape) }, () => rng.normal()));
  const run = (backward: boolean) => {
    const tape = new Tape(kernels, { arena: new Arena(kernels, { floatType: 'f64', blockBytes: 1 << 16 }) });
    const inputs = values.map((data, i) => tape.tensor(data, shapes[i]!, true));
    const output = build(tape, inputs);
    const draws = new Rng(99);
    const weights = Float64Array.from({ length: output.size }, () => (options.isLoss ? 1 : draws.normal()));
    const value = weights.reduce((sum, weight, i) => sum + weight * output.data[i]!, 0);
    if (backward) tape.backward(options.isLoss ? output : lossOf(tape, output, weights));
    return { value, inputs };
  };
  const { inputs } = run(true);
  values.forEach((data, which) => {
    for (let i = 0; i < data.length; i++) {
      const original = data[i]!;
      data[i] = original + 1e-5;
      const above = run(false).value;
      data[i] = original - 1e-5;
      const below = run(false).value;
      data[i] = original;
      const numeric = (above - below) / 2e-5;
      const analytic = inputs[which]!.hasGrad ? inputs[which]!.grad![i]! : 0;
      const error = Math.abs(analytic - numeric) / (1 + Math.abs(numeric));
      expect(error, `input ${which} element ${i}: ${analytic} against ${numeric}`).toBeLessThan(1e-6);
    }
  });
}

/** The weighted sum of an output as a scalar on the tape. */
function lossOf(tape: Tape, output: Tensor, weights: Float64Array): Tensor {
  const loss = tape.output([1], output);
  loss.data[0] = 0;
  tape.record(loss, (dloss) => {
    const target = tape.gradOf(output)!;
    for (let i = 0; i < output.size; i++) {
      const contribution = dloss[0]! * weights[i]!;
      target.grad[i] = target.accumulate ? target.grad[i]! + contribution : contribution;
    }
  });
  return loss;
}
