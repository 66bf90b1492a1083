/**
 * The top-k router of a mixture of experts (Shazeer et al. 2017; DBRX: softmax first, then the K largest, then divided by
 * their sum). The choice compares logits, which order experts as their probabilities do but never tie by rounding.
 *
 * Backward, w_j = p_j / s with s the sum of the chosen p: dp_j = (dw_j - Σ_i dw_i · w_i) / s for the chosen (dp_j = dw_j
 * without normalization), plus auxGrad for all; dlogits = p · (dp - Σ dp · p).
 */
import { assert } from '../../base/index.ts';
import type { FloatArray, RoutingKernels } from '../kernels.ts';
import { checkIndices, checkLength, checkSize } from './lengths.ts';

function routerForward(
  probs: FloatArray,
  weights: FloatArray,
  experts: Int32Array,
  logits: FloatArray,
  rows: number,
  numExperts: number,
  topK: number,
  normalize: boolean,
): void {
  check(probs, weights, experts, rows, numExperts, topK);
  checkLength('logits', logits, rows * numExperts);
  for (let r = 0; r < rows; r++) {
    const row = logits.subarray(r * numExperts, (r + 1) * numExperts);
    let max = -Infinity;
    for (let e = 0; e < numExperts; e++) max = Math.max(max, row[e]);
    const exps = Array.from(row, (logit) => Math.exp(logit - max));
    const total = exps.reduce((a, b) => a + b, 0);
    for (let e = 0; e < numExperts; e++) probs[r * numExperts + e] = exps[e] / total;
    const chosen = largest(row, topK);
    const divisor = normalize ? chosen.reduce((sum, e) => sum + exps[e], 0) : total;
    for (let j = 0; j < topK; j++) {
      experts[r * topK + j] = chosen[j];
      weights[r * topK + j] = exps[chosen[j]] / divisor;
    }
  }
}

/** Indices of the `count` largest, descending, ties to the lower index; NaN is never larger. */
function largest(row: FloatArray, count: number): number[] {
  const chosen: number[] = [];
  for (let j = 0; j < count; j++) {
    let best = -1;
    for (let e = 0; e < row.length; e++) {
      if (!chosen.includes(e) && (best < 0 || row[e] > row[best])) best = e;
    }
    chosen.push(best);
  }
  return chosen;
}

function routerBackward(
  dlogits: FloatArray,
  dweights: FloatArray,
  auxGrad: FloatArray,
  probs: FloatArray,
  experts: Int32Array,
  rows: number,
  numExperts: number,
  topK: number,
  normalize: boolean,
): void {
  check(probs, dweights, experts, rows, numExperts, topK);
  checkLength('dlogits', dlogits, rows * numExperts);
  checkLength('auxGrad', auxGrad, numExperts);
  checkIndices('experts', experts, numExperts);
  for (let r = 0; r < rows; r++) {
    const p = probs.subarray(r * numExperts, (r + 1) * numExperts);
    const dp = Float64Array.from(auxGrad);
    let chosenSum = 0;
    let weighted = 0;
    for (let j = r * topK; j < (r + 1) * topK; j++) {
      chosenSum += p[experts[j]];
      weighted += dweights[j] * p[experts[j]];
    }
    for (let j = r * topK; j < (r + 1) * topK; j++) {
      dp[experts[j]] += normalize ? (dweights[j] - weighted / chosenSum) / chosenSum : dweights[j];
    }
    let dot = 0;
    for (let e = 0; e < numExperts; e++) dot += dp[e] * p[e];
    for (let e = 0; e < numExperts; e++) dlogits[r * numExperts + e] = p[e] * (dp[e] - dot);
  }
}

function check(
  probs: FloatArray,
  weights: FloatArray,
  experts: Int32Array,
  rows: number,
  numExperts: number,
  topK: number,
): void {
  checkSize('rows', rows);
  assert(topK >= 1 && topK <= numExperts, `topK is ${topK}, expected 1..${numExperts}`);
  checkLength('probs', probs, rows * numExperts);
  checkLength('weights', weights, rows * topK);
  checkLength('experts', experts, rows * topK);
}

export const routerKernels: Pick<RoutingKernels, 'routerForward' | 'routerBackward'> = {
  routerForward,
  routerBackward,
};
