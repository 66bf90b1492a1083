/**
 * Softmax and the cross-entropy of next-token prediction, shifted by the row's maximum so that exp never overflows.
 * loss = logsumexp(logits) - logits[target]; dlogits = gradScale · (softmax - onehot).
 */
import type { FloatArray, LossKernels } from '../kernels.ts';
import { checkIndices, checkLength, checkSize } from './lengths.ts';

type SoftmaxKernels = Omit<LossKernels, 'adamw'>;

function softmaxCrossEntropy(
  losses: FloatArray,
  logits: FloatArray,
  targets: Int32Array,
  rows: number,
  vocab: number,
  gradScale: number,
): void {
  checkSize('rows', rows);
  checkSize('vocab', vocab);
  checkLength('losses', losses, rows);
  checkLength('targets', targets, rows);
  checkLength('logits', logits, rows * vocab);
  checkIndices(
    'targets',
    targets.filter((target) => target >= 0),
    vocab,
  );
  for (let r = 0; r < rows; r++) {
    const row = logits.subarray(r * vocab, (r + 1) * vocab);
    if (targets[r] < 0) {
      losses[r] = 0;
      if (gradScale !== 0) row.fill(0);
      continue;
    }
    const { max, total } = maxAndTotal(row);
    losses[r] = Math.log(total) + max - row[targets[r]];
    if (gradScale === 0) continue;
    for (let i = 0; i < vocab; i++) {
      row[i] = gradScale * (Math.exp(row[i] - max) / total - (i === targets[r] ? 1 : 0));
    }
  }
}

/** The largest value m of a row and Σ exp(x - m). */
function maxAndTotal(row: FloatArray): { max: number; total: number } {
  let max = -Infinity;
  for (let i = 0; i < row.length; i++) max = Math.max(max, row[i]);
  let total = 0;
  for (let i = 0; i < row.length; i++) total += Math.exp(row[i] - max);
  return { max, total };
}

function softmaxForward(y: FloatArray, x: FloatArray, rows: number, dim: number): void {
  checkSize('rows', rows);
  checkSize('dim', dim);
  checkLength('y', y, rows * dim);
  checkLength('x', x, rows * dim);
  for (let r = 0; r < rows; r++) {
    const { max, total } = maxAndTotal(x.subarray(r * dim, (r + 1) * dim));
    for (let i = r * dim; i < (r + 1) * dim; i++) y[i] = Math.exp(x[i] - max) / total;
  }
}

function softmaxBackward(
  dx: FloatArray,
  dy: FloatArray,
  y: FloatArray,
  rows: number,
  dim: number,
  accumulate = false,
): void {
  checkSize('rows', rows);
  checkSize('dim', dim);
  for (const array of [dx, dy, y]) checkLength('dx, dy or y', array, rows * dim);
  for (let r = 0; r < rows; r++) {
    let dot = 0;
    for (let i = r * dim; i < (r + 1) * dim; i++) dot += dy[i] * y[i];
    for (let i = r * dim; i < (r + 1) * dim; i++) {
      dx[i] = y[i] * (dy[i] - dot) + (accumulate ? dx[i] : 0);
    }
  }
}

export const softmaxKernels: SoftmaxKernels = { softmaxCrossEntropy, softmaxForward, softmaxBackward };
