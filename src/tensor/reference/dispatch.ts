/**
 * Moving tokens to the rows of their experts and back: the dropless permutation of MegaBlocks (Gale et al. 2022).
 * Slots (token, choice) are sorted by expert, keeping the order of tokens; every expert then owns one range of rows.
 */
import type { FloatArray, RoutingKernels } from '../kernels.ts';
import { checkIndices, checkLength, checkSize } from './lengths.ts';

type DispatchKernels = Omit<RoutingKernels, 'routerForward' | 'routerBackward'>;

function buildPermutation(
  slotOf: Int32Array,
  tokenOf: Int32Array,
  offsets: Int32Array,
  experts: Int32Array,
  rows: number,
  topK: number,
  numExperts: number,
): void {
  const slots = rows * topK;
  checkLength('slotOf', slotOf, slots);
  checkLength('tokenOf', tokenOf, slots);
  checkLength('experts', experts, slots);
  checkLength('offsets', offsets, numExperts + 1);
  checkIndices('experts', experts, numExperts);
  offsets.fill(0);
  for (const expert of experts) offsets[expert + 1]++;
  for (let e = 0; e < numExperts; e++) offsets[e + 1] += offsets[e];
  const next = offsets.slice(0, numExperts);
  for (let s = 0; s < slots; s++) {
    const place = next[experts[s]]++;
    slotOf[s] = place;
    tokenOf[place] = Math.floor(s / topK);
  }
}

function gatherRows(out: FloatArray, x: FloatArray, tokenOf: Int32Array, slots: number, dim: number): void {
  checkSize('slots', slots);
  checkSize('dim', dim);
  checkLength('out', out, slots * dim);
  checkLength('tokenOf', tokenOf, slots);
  if (dim > 0) checkIndices('tokenOf', tokenOf, Math.floor(x.length / dim));
  for (let s = 0; s < slots; s++) {
    for (let i = 0; i < dim; i++) out[s * dim + i] = x[tokenOf[s] * dim + i];
  }
}

function gatherRowsBackward(
  dx: FloatArray,
  dout: FloatArray,
  slotOf: Int32Array,
  rows: number,
  topK: number,
  dim: number,
  accumulate = false,
): void {
  checkMoved(dx, dout, slotOf, rows, topK, dim);
  for (let t = 0; t < rows; t++) {
    for (let i = 0; i < dim; i++) {
      let sum = accumulate ? dx[t * dim + i] : 0;
      for (let j = 0; j < topK; j++) sum += dout[slotOf[t * topK + j] * dim + i];
      dx[t * dim + i] = sum;
    }
  }
}

function combineForward(
  y: FloatArray,
  ys: FloatArray,
  weights: FloatArray,
  slotOf: Int32Array,
  rows: number,
  topK: number,
  dim: number,
  accumulate = false,
): void {
  checkMoved(y, ys, slotOf, rows, topK, dim);
  checkLength('weights', weights, rows * topK);
  for (let t = 0; t < rows; t++) {
    for (let i = 0; i < dim; i++) {
      let sum = accumulate ? y[t * dim + i] : 0;
      for (let j = t * topK; j < (t + 1) * topK; j++) sum += weights[j] * ys[slotOf[j] * dim + i];
      y[t * dim + i] = sum;
    }
  }
}

function combineBackward(
  dys: FloatArray,
  dweights: FloatArray,
  dy: FloatArray,
  ys: FloatArray,
  weights: FloatArray,
  slotOf: Int32Array,
  rows: number,
  topK: number,
  dim: number,
): void {
  checkMoved(dy, ys, slotOf, rows, topK, dim);
  checkLength('dys', dys, rows * topK * dim);
  checkLength('weights', weights, rows * topK);
  checkLength('dweights', dweights, rows * topK);
  for (let j = 0; j < rows * topK; j++) {
    const token = Math.floor(j / topK) * dim;
    const slot = slotOf[j] * dim;
    let dot = 0;
    for (let i = 0; i < dim; i++) {
      dot += dy[token + i] * ys[slot + i];
      dys[slot + i] = weights[j] * dy[token + i];
    }
    dweights[j] = dot;
  }
}

/** Checks the token side [rows, dim], the slot side [rows·topK, dim] and the permutation between them. */
function checkMoved(
  tokens: FloatArray,
  slots: FloatArray,
  slotOf: Int32Array,
  rows: number,
  topK: number,
  dim: number,
): void {
  checkSize('rows', rows);
  checkSize('dim', dim);
  checkLength('the [rows, dim] argument', tokens, rows * dim);
  checkLength('the [slots, dim] argument', slots, rows * topK * dim);
  checkLength('slotOf', slotOf, rows * topK);
  checkIndices('slotOf', slotOf, rows * topK);
}

export const dispatchKernels: DispatchKernels = {
  buildPermutation,
  gatherRows,
  gatherRowsBackward,
  combineForward,
  combineBackward,
};
