/**
 * Layer norm and RMS norm with a weight and no bias, row by row, or of groups of a row's columns.
 *
 * Layer norm (Ba et al. 2016): x̂ = (x - mean) · rstd, rstd = 1 / sqrt(var + epsilon), y = x̂ · weight.
 * RMS norm (Zhang and Sennrich 2019): x̂ = x · rstd, rstd = 1 / sqrt(mean(x²) + epsilon), y = x̂ · weight.
 *
 * Backward, with g = dy · weight: dweight += sum over rows of dy · x̂,
 * dx = rstd · (g - mean(g) - x̂ · mean(g · x̂)); RMS norm lacks the mean(g) term.
 */
import { assert } from '../../base/index.ts';
import type { ColumnGroups, FloatArray, TransformerKernels } from '../kernels.ts';
import { checkLength, checkSize } from './lengths.ts';

type NormKernels = Pick<
  TransformerKernels,
  | 'layerNormForward'
  | 'layerNormBackward'
  | 'rmsNormForward'
  | 'rmsNormBackward'
  | 'columnNormForward'
  | 'columnNormBackward'
>;

function checkRows(rows: number, dim: number, matrices: FloatArray[], perRow: FloatArray[]): void {
  checkSize('rows', rows);
  checkSize('dim', dim);
  for (const matrix of matrices) checkLength('a [rows, dim] argument', matrix, rows * dim);
  for (const values of perRow) checkLength('mean or rstd', values, rows);
}

function layerNormForward(
  y: FloatArray,
  mean: FloatArray,
  rstd: FloatArray,
  x: FloatArray,
  weight: FloatArray,
  rows: number,
  dim: number,
  epsilon: number,
): void {
  checkRows(rows, dim, [y, x], [mean, rstd]);
  checkLength('weight', weight, dim);
  for (let r = 0; r < rows; r++) {
    const base = r * dim;
    let sum = 0;
    for (let i = 0; i < dim; i++) sum += x[base + i];
    const rowMean = sum / dim;
    let squares = 0;
    for (let i = 0; i < dim; i++) squares += (x[base + i] - rowMean) ** 2;
    const rowRstd = 1 / Math.sqrt(squares / dim + epsilon);
    for (let i = 0; i < dim; i++) y[base + i] = (x[base + i] - rowMean) * rowRstd * weight[i];
    mean[r] = rowMean;
    rstd[r] = rowRstd;
  }
}

function rmsNormForward(
  y: FloatArray,
  rstd: FloatArray,
  x: FloatArray,
  weight: FloatArray,
  rows: number,
  dim: number,
  epsilon: number,
): void {
  checkRows(rows, dim, [y, x], [rstd]);
  checkLength('weight', weight, dim);
  for (let r = 0; r < rows; r++) {
    const base = r * dim;
    let squares = 0;
    for (let i = 0; i < dim; i++) squares += x[base + i] ** 2;
    const rowRstd = 1 / Math.sqrt(squares / dim + epsilon);
    for (let i = 0; i < dim; i++) y[base + i] = x[base + i] * rowRstd * weight[i];
    rstd[r] = rowRstd;
  }
}

/** Both backward passes; `mean` null is RMS norm. */
function backward(
  dx: FloatArray,
  dweight: FloatArray,
  dy: FloatArray,
  x: FloatArray,
  weight: FloatArray,
  mean: FloatArray | null,
  rstd: FloatArray,
  rows: number,
  dim: number,
  accumulate: boolean,
): void {
  checkRows(rows, dim, [dx, dy, x], mean === null ? [rstd] : [mean, rstd]);
  checkLength('weight', weight, dim);
  checkLength('dweight', dweight, dim);
  const dweightSums = new Float64Array(dim);
  const xHat = new Float64Array(dim);
  for (let r = 0; r < rows; r++) {
    const base = r * dim;
    const center = mean === null ? 0 : mean[r];
    let sumG = 0;
    let sumGX = 0;
    for (let i = 0; i < dim; i++) {
      xHat[i] = (x[base + i] - center) * rstd[r];
      const g = dy[base + i] * weight[i];
      sumG += g;
      sumGX += g * xHat[i];
      dweightSums[i] += dy[base + i] * xHat[i];
    }
    const meanG = mean === null ? 0 : sumG / dim;
    const meanGX = sumGX / dim;
    for (let i = 0; i < dim; i++) {
      const value = rstd[r] * (dy[base + i] * weight[i] - meanG - xHat[i] * meanGX);
      dx[base + i] = value + (accumulate ? dx[base + i] : 0);
    }
  }
  for (let i = 0; i < dim; i++) dweight[i] += dweightSums[i];
}

/** Where every group of every row begins, with its number. */
function* groupsOf({
  rows,
  columns,
  first,
  groups,
  dim,
}: ColumnGroups): Generator<[at: number, group: number]> {
  for (let r = 0; r < rows; r++) {
    for (let g = 0; g < groups; g++) yield [r * columns + first + g * dim, r * groups + g];
  }
}

function checkGroups(
  shape: ColumnGroups,
  matrices: FloatArray[],
  rstd: FloatArray,
  weights: FloatArray[],
): void {
  const { rows, columns, first, groups, dim } = shape;
  for (const [name, value] of Object.entries(shape)) checkSize(name, value);
  assert(first + groups * dim <= columns, 'the groups reach past the columns');
  for (const matrix of matrices) checkLength('a [rows, columns] argument', matrix, rows * columns);
  checkLength('rstd', rstd, rows * groups);
  for (const weight of weights) checkLength('weight or dweight', weight, dim);
}

function columnNormForward(
  y: FloatArray,
  rstd: FloatArray,
  x: FloatArray,
  weight: FloatArray,
  shape: ColumnGroups,
  epsilon: number,
): void {
  checkGroups(shape, [y, x], rstd, [weight]);
  const { dim } = shape;
  const own = rstd.slice(0, 1);
  for (const [at, group] of groupsOf(shape)) {
    const range = [at, at + dim] as const;
    rmsNormForward(y.subarray(...range), own, x.subarray(...range), weight, 1, dim, epsilon);
    rstd[group] = own[0];
  }
}

function columnNormBackward(
  dx: FloatArray,
  dweight: FloatArray,
  dy: FloatArray,
  x: FloatArray,
  weight: FloatArray,
  rstd: FloatArray,
  shape: ColumnGroups,
): void {
  checkGroups(shape, [dx, dy, x], rstd, [weight, dweight]);
  const { dim } = shape;
  const sums = new Float64Array(dim);
  for (const [at, group] of groupsOf(shape)) {
    const scale = rstd[group];
    let average = 0;
    for (let i = 0; i < dim; i++) average += (dy[at + i] * weight[i] * x[at + i] * scale) / dim;
    for (let i = 0; i < dim; i++) {
      const [d, n] = [dy[at + i], x[at + i] * scale];
      sums[i] += d * n;
      dx[at + i] = scale * (d * weight[i] - n * average);
    }
  }
  for (let i = 0; i < dim; i++) dweight[i] += sums[i];
}

export const normKernels: NormKernels = {
  layerNormForward,
  layerNormBackward: (dx, dweight, dy, x, weight, mean, rstd, rows, dim, accumulate = false) =>
    backward(dx, dweight, dy, x, weight, mean, rstd, rows, dim, accumulate),
  columnNormForward,
  columnNormBackward,
  rmsNormForward,
  rmsNormBackward: (dx, dweight, dy, x, weight, rstd, rows, dim, accumulate = false) =>
    backward(dx, dweight, dy, x, weight, null, rstd, rows, dim, accumulate),
};
