/**
 * Causal attention by the definition, one query row and head at a time (Vaswani et al. 2017; grouped queries: Ainslie
 * et al. 2023): s_j = scale · q·k_j over j = firstKey..r, lse = log Σ exp(s_j), out = Σ exp(s_j - lse) · v_j.
 *
 * Backward from lse (Dao et al. 2022, FlashAttention): p_j = exp(s_j - lse), dp_j = dout·v_j, delta = dout·out,
 * ds_j = p_j · (dp_j - delta), dq += scale · ds_j · k_j, dk_j += scale · ds_j · q, dv_j += p_j · dout.
 * bf16 rounds q, k, v and dout, in delta too; probabilities stay in double precision.
 * Where scores are changed, s_j is the changed score; of a cap the gradient passes through 1 - (s_j / cap)².
 */
import { assert } from '../../base/index.ts';
import type { AttentionShape, FloatArray, Precision, ScoreChange, TransformerKernels } from '../kernels.ts';
import { asOperand } from './bf16.ts';
import { checkIndices, checkLength } from './lengths.ts';

type AttentionKernels = Pick<
  TransformerKernels,
  'attentionForward' | 'attentionBackward' | 'attentionCached'
>;

/** A scaled score as the softmax takes it; `distance` = key - query, 0 or less. */
function changed(score: number, distance: number, head: number, change: ScoreChange | undefined): number {
  if (change?.cap) return change.cap * Math.tanh(score / change.cap);
  return score + (change?.slopes?.[head] ?? 0) * distance;
}

/** Softmax-weighted values of one query, the last of its keys: writes out[outBase..] and returns the lse. Key j starts at keyBase + j·stride. */
function attendOne(
  out: FloatArray,
  outBase: number,
  query: FloatArray,
  queryBase: number,
  keys: FloatArray,
  keyBase: number,
  values: FloatArray,
  valueBase: number,
  count: number,
  stride: number,
  headDim: number,
  scale: number,
  head: number,
  change: ScoreChange | undefined,
): number {
  const scores = new Float64Array(count);
  let max = -Infinity;
  for (let j = 0; j < count; j++) {
    const score = scale * dot(query, queryBase, keys, keyBase + j * stride, headDim);
    scores[j] = changed(score, j + 1 - count, head, change);
    max = Math.max(max, scores[j]);
  }
  let total = 0;
  for (let j = 0; j < count; j++) {
    scores[j] = Math.exp(scores[j] - max);
    total += scores[j];
  }
  for (let i = 0; i < headDim; i++) {
    let sum = 0;
    for (let j = 0; j < count; j++) sum += scores[j] * values[valueBase + j * stride + i];
    out[outBase + i] = sum / total;
  }
  return max + Math.log(total);
}

function attentionForward(
  out: FloatArray,
  lse: FloatArray,
  qkv: FloatArray,
  firstKey: Int32Array,
  shape: AttentionShape,
  scale: number,
  precision: Precision,
): void {
  const { rows, heads, kvHeads, headDim } = shape;
  const columns = checkShape(shape, qkv);
  checkLength('out', out, rows * heads * headDim);
  checkLength('lse', lse, heads * rows);
  checkFirstKey(firstKey, rows);
  const operand = asOperand(qkv, precision);
  for (let h = 0; h < heads; h++) {
    const key = (heads + Math.floor((h * kvHeads) / heads)) * headDim;
    const value = key + kvHeads * headDim;
    for (let r = 0; r < rows; r++) {
      const first = firstKey[r] * columns;
      lse[h * rows + r] = attendOne(
        out,
        (r * heads + h) * headDim,
        operand,
        r * columns + h * headDim,
        operand,
        first + key,
        operand,
        first + value,
        r + 1 - firstKey[r],
        columns,
        headDim,
        scale,
        h,
        shape.scores,
      );
    }
  }
}

function attentionBackward(
  dqkv: FloatArray,
  dout: FloatArray,
  qkv: FloatArray,
  out: FloatArray,
  lse: FloatArray,
  firstKey: Int32Array,
  shape: AttentionShape,
  scale: number,
  precision: Precision,
): void {
  const { rows, heads, kvHeads, headDim } = shape;
  const columns = checkShape(shape, qkv);
  checkLength('dqkv', dqkv, rows * columns);
  checkLength('dout', dout, rows * heads * headDim);
  checkLength('out', out, rows * heads * headDim);
  checkLength('lse', lse, heads * rows);
  checkFirstKey(firstKey, rows);
  const operand = asOperand(qkv, precision);
  const gradient = asOperand(dout, precision);
  const sums = new Float64Array(dqkv.length);
  for (let h = 0; h < heads; h++) {
    const keyColumn = (heads + Math.floor((h * kvHeads) / heads)) * headDim;
    for (let r = 0; r < rows; r++) {
      const query = r * columns + h * headDim;
      const o = (r * heads + h) * headDim;
      const delta = dot(gradient, o, out, o, headDim);
      for (let j = firstKey[r]; j <= r; j++) {
        const key = j * columns + keyColumn;
        const value = key + kvHeads * headDim;
        const score = changed(scale * dot(operand, query, operand, key, headDim), j - r, h, shape.scores);
        const p = Math.exp(score - lse[h * rows + r]);
        const slope = shape.scores?.cap ? 1 - (score / shape.scores.cap) ** 2 : 1;
        const ds = scale * p * slope * (dot(gradient, o, operand, value, headDim) - delta);
        for (let i = 0; i < headDim; i++) {
          sums[query + i] += ds * operand[key + i];
          sums[key + i] += ds * operand[query + i];
          sums[value + i] += p * gradient[o + i];
        }
      }
    }
  }
  dqkv.set(sums);
}

function attentionCached(
  out: FloatArray,
  keyCache: FloatArray,
  valueCache: FloatArray,
  qkv: FloatArray,
  slots: Int32Array,
  positions: Int32Array,
  shape: AttentionShape,
  cacheLength: number,
  scale: number,
  window = 0,
): void {
  const { rows, heads, kvHeads, headDim } = shape;
  const columns = checkShape(shape, qkv);
  const width = kvHeads * headDim;
  checkLength('out', out, rows * heads * headDim);
  checkLength('valueCache', valueCache, keyCache.length);
  checkLength('slots', slots, rows);
  checkLength('positions', positions, rows);
  checkIndices('slots', slots, Math.floor(keyCache.length / (cacheLength * width)));
  checkIndices('positions', positions, cacheLength);
  for (let r = 0; r < rows; r++) {
    const place = (slots[r] * cacheLength + positions[r]) * width;
    const key = r * columns + heads * headDim;
    keyCache.set(qkv.subarray(key, key + width), place);
    valueCache.set(qkv.subarray(key + width, key + 2 * width), place);
  }
  for (let r = 0; r < rows; r++) {
    for (let h = 0; h < heads; h++) {
      const count = window > 0 ? Math.min(window, positions[r] + 1) : positions[r] + 1;
      const first = slots[r] * cacheLength + positions[r] + 1 - count;
      const base = first * width + Math.floor((h * kvHeads) / heads) * headDim;
      const o = (r * heads + h) * headDim;
      const query = r * columns + h * headDim;
      attendOne(
        out,
        o,
        qkv,
        query,
        keyCache,
        base,
        valueCache,
        base,
        count,
        width,
        headDim,
        scale,
        h,
        shape.scores,
      );
    }
  }
}

function dot(a: FloatArray, aBase: number, b: FloatArray, bBase: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[aBase + i] * b[bBase + i];
  return sum;
}

/** Checks the heads and the length of qkv; returns C, the columns of a row. */
function checkShape(shape: AttentionShape, qkv: FloatArray): number {
  const { rows, heads, kvHeads, headDim, scores } = shape;
  if (scores?.slopes) checkLength('slopes', scores.slopes, heads);
  assert(!scores?.cap || (scores.cap > 0 && !scores.slopes), 'a cap is above 0 and comes without slopes');
  assert(
    heads > 0 && kvHeads > 0 && headDim > 0 && heads % kvHeads === 0,
    `${heads} heads of ${headDim} do not share ${kvHeads} key/value heads evenly`,
  );
  const columns = (heads + 2 * kvHeads) * headDim;
  checkLength('qkv', qkv, rows * columns);
  return columns;
}

function checkFirstKey(firstKey: Int32Array, rows: number): void {
  checkLength('firstKey', firstKey, rows);
  for (let r = 0; r < rows; r++) {
    const least = r === 0 ? 0 : firstKey[r - 1];
    if (firstKey[r] < least || firstKey[r] > r) {
      assert(false, `firstKey[${r}] is ${firstKey[r]}, expected ${least}..${r}`);
    }
  }
}

export const attentionKernels: AttentionKernels = { attentionForward, attentionBackward, attentionCached };
