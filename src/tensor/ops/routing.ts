/**
 * Dropless mixture-of-experts routing (Gale et al. 2022, MegaBlocks; the router of DBRX): softmax over all experts,
 * top-k, renormalised weights; tokens sorted by expert for a grouped product, then combined by weight.
 * Legend: R tokens, E experts, K experts per token, S = R·K slots, D dim.
 */
import type { Tape } from '../tape.ts';
import { asMatrix, type Tensor } from '../tensor.ts';

export interface RouteOptions {
  readonly topK: number;
  /** divide the chosen weights by their sum */
  readonly normalize: boolean;
  /** weight of this layer's load-balancing loss, whose value for a uniform load is this weight */
  readonly balanceWeight: number;
  /** what the loss's gradient is multiplied by (1 / number of microbatches) */
  readonly gradScale: number;
}

export interface Route {
  /** [R, K] */
  readonly weights: Tensor;
  /** [R, K] chosen experts, by falling weight */
  readonly experts: Int32Array;
  /** [E] tokens per expert */
  readonly counts: Int32Array;
  /** balanceWeight * E / (R·K) * sum over e of counts[e] * mean prob[e]; facts: MegaBlocks' batched_load_balancing_loss */
  readonly balanceLoss: number;
}

/** Chooses experts from logits [R, E]. The balance loss's gradient is added by this op, its value is only reported. */
export function route(tape: Tape, logits: Tensor, options: RouteOptions): Route {
  const { rows, dim: numExperts } = asMatrix(logits);
  const { kernels, arena } = tape;
  const { topK, normalize } = options;
  const probs = arena.floats(rows * numExperts);
  const experts = arena.integers(rows * topK);
  const weights = tape.output([rows, topK], logits);
  kernels.routerForward(probs, weights.data, experts, logits.data, rows, numExperts, topK, normalize);
  const counts = new Int32Array(numExperts);
  for (const expert of experts) counts[expert]!++;
  const auxGrad = arena.floats(numExperts);
  const share = (options.balanceWeight * numExperts) / Math.max(1, rows * topK);
  for (let e = 0; e < numExperts; e++)
    auxGrad[e] = (share * options.gradScale * counts[e]!) / Math.max(1, rows);
  tape.record(weights, (dweights) => {
    const dlogits = arena.floats(logits.size);
    kernels.routerBackward(dlogits, dweights, auxGrad, probs, experts, rows, numExperts, topK, normalize);
    tape.passGrad(logits, dlogits);
  });
  return { weights, experts, counts, balanceLoss: balanceLoss(tape, probs, counts, rows, share) };
}

function balanceLoss(
  tape: Tape,
  probs: Tensor['data'],
  counts: Int32Array,
  rows: number,
  share: number,
): number {
  if (share === 0 || rows === 0) return 0;
  const sums = tape.arena.floats(counts.length);
  tape.kernels.columnSum(sums, probs, rows, counts.length);
  let loss = 0;
  for (let e = 0; e < counts.length; e++) loss += (share * counts[e]! * sums[e]!) / rows;
  return loss;
}

/** Where every (token, choice) stands once slots are sorted by expert. */
export interface DispatchPlan {
  readonly topK: number;
  /** [S] place of slot t·K + j */
  readonly slotOf: Int32Array;
  /** [S] token at every place */
  readonly tokenOf: Int32Array;
  /** [E + 1] */
  readonly offsets: Int32Array;
}

export function planDispatch(
  tape: Tape,
  experts: Int32Array,
  topK: number,
  numExperts: number,
): DispatchPlan {
  const slots = experts.length;
  const slotOf = tape.arena.integers(slots);
  const tokenOf = tape.arena.integers(slots);
  const offsets = tape.arena.integers(numExperts + 1);
  tape.kernels.buildPermutation(slotOf, tokenOf, offsets, experts, slots / topK, topK, numExperts);
  return { topK, slotOf, tokenOf, offsets };
}

/** [S, D]: every token's row copied to the places of its experts. */
export function dispatch(tape: Tape, x: Tensor, plan: DispatchPlan): Tensor {
  const { rows, dim } = asMatrix(x);
  const { kernels } = tape;
  const slots = plan.tokenOf.length;
  const out = tape.output([slots, dim], x);
  kernels.gatherRows(out.data, x.data, plan.tokenOf, slots, dim);
  tape.record(out, (dout) => {
    const dx = tape.gradOf(x);
    if (dx) kernels.gatherRowsBackward(dx.grad, dout, plan.slotOf, rows, plan.topK, dim, dx.accumulate);
  });
  return out;
}

/** y[t] = sum over j of weights[t, j] * ys[slot of (t, j)]. The backward pass overwrites ys by its gradient. */
export function combine(tape: Tape, ys: Tensor, weights: Tensor, plan: DispatchPlan): Tensor {
  const dim = ys.shape[1]!;
  const [rows, topK] = weights.shape as [number, number];
  const { kernels, arena } = tape;
  const y = tape.output([rows, dim], ys, weights);
  kernels.combineForward(y.data, ys.data, weights.data, plan.slotOf, rows, topK, dim);
  tape.record(y, (dy) => {
    const dweights = arena.floats(weights.size);
    kernels.combineBackward(ys.data, dweights, dy, ys.data, weights.data, plan.slotOf, rows, topK, dim);
    tape.passGrad(ys, ys.data);
    tape.passGrad(weights, dweights);
  });
  return y;
}
