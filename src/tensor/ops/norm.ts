/** Layer norm without bias (Ba et al. 2016) and RMS norm (Zhang and Sennrich 2019), over the last dim. */
import type { Tape } from '../tape.ts';
import { asMatrix, type Tensor } from '../tensor.ts';

/** y = (x - mean) / sqrt(var + epsilon) * weight; x [.., D], weight [D]. */
export function layerNorm(tape: Tape, x: Tensor, weight: Tensor, epsilon: number): Tensor {
  const { rows, dim } = asMatrix(x);
  const { kernels } = tape;
  const mean = tape.arena.floats(rows);
  const rstd = tape.arena.floats(rows);
  const y = tape.output(x.shape, x, weight);
  kernels.layerNormForward(y.data, mean, rstd, x.data, weight.data, rows, dim, epsilon);
  tape.record(y, (dy) => {
    const dweight = tape.addingGradOf(weight) ?? scratchWeight(tape, dim);
    const dx = tape.gradOf(x) ?? scratchInput(tape, x);
    kernels.layerNormBackward(
      dx.grad,
      dweight,
      dy,
      x.data,
      weight.data,
      mean,
      rstd,
      rows,
      dim,
      dx.accumulate,
    );
  });
  return y;
}

/** y = x / sqrt(mean(x²) + epsilon) * weight; x [.., D], weight [D]. */
export function rmsNorm(tape: Tape, x: Tensor, weight: Tensor, epsilon: number): Tensor {
  const { rows, dim } = asMatrix(x);
  const { kernels } = tape;
  const rstd = tape.arena.floats(rows);
  const y = tape.output(x.shape, x, weight);
  kernels.rmsNormForward(y.data, rstd, x.data, weight.data, rows, dim, epsilon);
  tape.record(y, (dy) => {
    const dweight = tape.addingGradOf(weight) ?? scratchWeight(tape, dim);
    const dx = tape.gradOf(x) ?? scratchInput(tape, x);
    kernels.rmsNormBackward(dx.grad, dweight, dy, x.data, weight.data, rstd, rows, dim, dx.accumulate);
  });
  return y;
}

function scratchWeight(tape: Tape, dim: number) {
  const scratch = tape.arena.floats(dim);
  tape.kernels.fill(scratch, 0);
  return scratch;
}

function scratchInput(tape: Tape, x: Tensor) {
  return { grad: tape.arena.floats(x.size), accumulate: false };
}
