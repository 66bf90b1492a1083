/**
 * Clipped, rotated, causal grouped-query attention within documents, as one op over the fused QKV rows of DBRX:
 * clamp q, k and v, rotate q and k (Su et al. 2021, NeoX layout), attend in blocks without a T x T matrix. Models without
 * rotation leave it out, and change the scores instead (ALiBi) or the rows before (learned positions).
 * Legend: R rows, H query heads, G key/value heads, P head dim, C = (H + 2G)·P.
 */
import type { AttentionShape, FloatArray, Precision, ScoreChange } from '../kernels.ts';
import type { Tape } from '../tape.ts';
import type { Tensor } from '../tensor.ts';

/** cos and sin of every position's rotation angles, each [positions, P/2]. */
export interface RopeTable {
  readonly cos: FloatArray;
  readonly sin: FloatArray;
}

export interface AttentionOptions {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** bound of q, k and v; 0 for none */
  readonly clip: number;
  /** null: neither rotated nor clamped */
  readonly rope: RopeTable | null;
  /** what happens to scores before the softmax; absent: nothing */
  readonly scores?: ScoreChange;
  /** [R] position of every row within its sequence */
  readonly positions: Int32Array;
  /** [R] first row that every row may attend */
  readonly firstKey: Int32Array;
  readonly precision: Precision;
}

/** [R, H·P] from qkv [R, C]. Consumes qkv: its values are clamped and rotated in place. */
export function attention(tape: Tape, qkv: Tensor, options: AttentionOptions): Tensor {
  const { kernels, arena } = tape;
  const { heads, kvHeads, headDim, clip, rope, positions, firstKey, precision, scores } = options;
  const rows = qkv.shape[0]!;
  const shape: AttentionShape = { rows, heads, kvHeads, headDim, scores };
  const scale = 1 / Math.sqrt(headDim);
  const clipMask = qkv.requiresGrad && rope && clip > 0 ? arena.bytes(qkv.size) : null;
  if (rope) kernels.ropeClipForward(qkv.data, clipMask, positions, rope.cos, rope.sin, shape, clip);
  const out = tape.output([rows, heads * headDim], qkv);
  const lse = arena.floats(heads * rows);
  kernels.attentionForward(out.data, lse, qkv.data, firstKey, shape, scale, precision);
  tape.record(out, (dout) => {
    const dqkv = arena.floats(qkv.size);
    kernels.attentionBackward(dqkv, dout, qkv.data, out.data, lse, firstKey, shape, scale, precision);
    if (rope) kernels.ropeClipBackward(dqkv, clipMask, positions, rope.cos, rope.sin, shape);
    tape.passGrad(qkv, dqkv);
  });
  return out;
}
