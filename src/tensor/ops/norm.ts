/** Layer norm without bias (Ba et al. 2016) and RMS norm (Zhang and Sennrich 2019), over the last dim or parts of it. */
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

/** Columns first..first + groups · dim of every row, normed in groups of dim, dim the size of the scale. */
export interface NormedColumns {
  readonly first: number;
  readonly groups: number;
  readonly weight: Tensor;
}

/**
 * RMS norm of groups of columns of x [R, C]; the other columns are passed through. Ranges must not overlap. With a group of
 * one head's dim it is the query and key norm of Qwen 3, with one of all heads that of OLMoE.
 */
export function columnNorms(
  tape: Tape,
  x: Tensor,
  ranges: readonly NormedColumns[],
  epsilon: number,
): Tensor {
  const { rows, dim: columns } = asMatrix(x);
  const { kernels, arena } = tape;
  const y = tape.output(x.shape, x, ...ranges.map(({ weight }) => weight));
  kernels.scale(y.data, x.data, 1);
  const normed = ranges.map(({ first, groups, weight }) => {
    const shape = { rows, columns, first, groups, dim: weight.size };
    const rstd = arena.floats(rows * groups);
    kernels.columnNormForward(y.data, rstd, x.data, weight.data, shape, epsilon);
    return { shape, rstd, weight };
  });
  tape.record(y, (dy) => {
    for (const { shape, rstd, weight } of normed) {
      const dweight = tape.addingGradOf(weight) ?? scratchWeight(tape, weight.size);
      kernels.columnNormBackward(dy, dweight, dy, x.data, weight.data, rstd, shape);
    }
    tape.passGrad(x, dy);
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
