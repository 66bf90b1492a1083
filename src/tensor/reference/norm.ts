/**
 * Layer norm and RMS norm with a weight and no bias, row by row.
 *
 * Layer norm (Ba et al. 2016): x̂ = (x - mean) · rstd, rstd = 1 / sqrt(var + epsilon), y = x̂ · weight.
 * RMS norm (Zhang and Sennrich 2019): x̂ = x · rstd, rstd = 1 / sqrt(mean(x²) + epsilon), y = x̂ · weight.
 *
 * Backward, with g = dy · weight: dweight += sum over rows of dy · x̂,
 * dx = rstd · (g - mean(g) - x̂ · mean(g · x̂)); RMS norm lacks the mean(g) term.
 */
import type { FloatArray, TransformerKernels } from '../kernels.ts';
import { checkLength, checkSize } from './lengths.ts';

type NormKernels = Pick<
  TransformerKernels,
  'layerNormForward' | 'layerNormBackward' | 'rmsNormForward' | 'rmsNormBackward'
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

export const normKernels: NormKernels = {
  layerNormForward,
  layerNormBackward: (dx, dweight, dy, x, weight, mean, rstd, rows, dim, accumulate = false) =>
    backward(dx, dweight, dy, x, weight, mean, rstd, rows, dim, accumulate),
  rmsNormForward,
  rmsNormBackward: (dx, dweight, dy, x, weight, rstd, rows, dim, accumulate = false) =>
    backward(dx, dweight, dy, x, weight, null, rstd, rows, dim, accumulate),
};
