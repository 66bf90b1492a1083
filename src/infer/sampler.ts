/**
 * From logits to the next token. A draw is a pure function of (logits, seed, choice, position): it does not matter
 * which other sequences share the step. Ties go to the lower id.
 */
import { philox, streamOf } from '../base/index.ts';
import type { SamplingParams } from './request.ts';

const SAMPLE_STREAM = streamOf('sample');

export class Sampler {
  private readonly adjusted: Float64Array;

  constructor(vocabSize: number) {
    this.adjusted = new Float64Array(vocabSize);
  }

  /**
   * Draws the token at `position` of a sequence.
   * @param logits [vocabSize], left as they are
   * @param counts how often each id was generated before, for the penalties
   * @returns the token's id; -1 when the logits hold NaN
   */
  sample(
    logits: Float32Array,
    params: SamplingParams,
    position: number,
    counts: ReadonlyMap<number, number>,
  ): number {
    const x = this.adjusted;
    x.set(logits);
    adjust(x, params, counts);
    const { temperature = 1, topK = 0, topP = 1, minP = 0 } = params;
    const best = argmax(x);
    if (temperature === 0 || topK === 1) return best;
    const total = softmaxInPlace(x, x[best], temperature);
    if (Number.isNaN(total)) return -1;
    const u = uniformAt(params.seed ?? 0, params.choice ?? 0, position);
    const all = (topK === 0 || topK >= x.length) && topP >= 1 && minP <= 0;
    return all ? drawById(x, u * total) : drawTruncated(x, total, u, { topK, topP, minP });
  }
}

/** Uniform in [0, 1) for one position of one choice under one seed. */
export function uniformAt(seed: number, choice: number, position: number): number {
  const words = philox(seed, SAMPLE_STREAM + choice * 2 ** 32, position);
  return ((words[0] >>> 5) * 67108864 + (words[1] >>> 6)) / 2 ** 53;
}

export function argmax(x: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < x.length; i++) if (x[i] > x[best]) best = i;
  return best;
}

function adjust(x: Float64Array, params: SamplingParams, counts: ReadonlyMap<number, number>): void {
  const { presencePenalty = 0, frequencyPenalty = 0 } = params;
  if (presencePenalty !== 0 || frequencyPenalty !== 0) {
    for (const [id, count] of counts) x[id] -= presencePenalty + frequencyPenalty * count;
  }
  for (const [id, bias] of params.logitBias ?? []) x[id] += bias;
}

/** Replaces logits by exp((x - max) / temperature), the likeliest being 1; returns their sum. */
function softmaxInPlace(x: Float64Array, max: number, temperature: number): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) {
    x[i] = Math.exp((x[i] - max) / temperature);
    total += x[i];
  }
  return total;
}

function drawById(weights: Float64Array, target: number): number {
  let sum = 0;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    sum += weights[i];
    last = i;
    if (sum > target) return i;
  }
  return last;
}

/** As {@link drawById}, over what minP, then topK, then topP (of the remaining mass) leave. */
function drawTruncated(
  weights: Float64Array,
  total: number,
  u: number,
  limits: { topK: number; topP: number; minP: number },
): number {
  // What lies below (1 - topP) / V of the mass cannot be in the nucleus: V such tokens sum to less than 1 - topP.
  const withoutTopK = limits.topK === 0 || limits.topK >= weights.length;
  const floor =
    withoutTopK && limits.minP === 0
      ? Math.min(1, ((1 - limits.topP) * total) / weights.length)
      : limits.minP;
  const ids: number[] = [];
  for (let i = 0; i < weights.length; i++) if (weights[i] >= floor && weights[i] > 0) ids.push(i);
  ids.sort((a, b) => weights[b] - weights[a] || a - b);
  if (!withoutTopK) ids.length = Math.min(ids.length, limits.topK);
  let mass = withoutTopK && limits.minP === 0 ? total : ids.reduce((sum, id) => sum + weights[id], 0);
  mass *= limits.topP;
  let kept = 0;
  let count = 0;
  while (count < ids.length && (count === 0 || kept < mass)) kept += weights[ids[count++]];
  const target = u * kept;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += weights[ids[i]];
    if (sum > target) return ids[i];
  }
  return ids[count - 1];
}
