/**
 * Clipped, rotated, causal grouped-query attention within documents, as one op over the fused QKV rows of DBRX:
 * clamp q, k and v, rotate q and k (Su et al. 2021, NeoX layout), attend in blocks without a T x T matrix.
 * Legend: R rows, H query heads, G key/value heads, P head dim, C = (H + 2G)·P.
 */
import type { AttentionShape, FloatArray, Precision } from '../kernels.ts';
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
  readonly rope: RopeTable;
  /** [R] position of every row within its sequence */
  readonly positions: Int32Array;
  /** [R] first row that every row may attend */
  readonly firstKey: Int32Array;
  readonly precision: Precision;
}

/** Angles theta^(-2i/P) · position for positions 0..length-1. */
export function ropeTable(
  length: number,
  headDim: number,
  theta: number,
  floats: (n: number) => FloatArray,
): RopeTable {
  const half = headDim / 2;
  const cos = floats(length * half);
  const sin = floats(length * half);
  for (let position = 0; position < length; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * theta ** ((-2 * i) / headDim);
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

/** [R, H·P] from qkv [R, C]. Consumes qkv: its values are clamped and rotated in place. */
export function attention(tape: Tape, qkv: Tensor, options: AttentionOptions): Tensor {
  const { kernels, arena } = tape;
  const { heads, kvHeads, headDim, clip, rope, positions, firstKey, precision } = options;
  const rows = qkv.shape[0]!;
  const shape: AttentionShape = { rows, heads, kvHeads, headDim };
  const scale = 1 / Math.sqrt(headDim);
  const clipMask = qkv.requiresGrad && clip > 0 ? arena.bytes(qkv.size) : null;
  kernels.ropeClipForward(qkv.data, clipMask, positions, rope.cos, rope.sin, shape, clip);
  const out = tape.output([rows, heads * headDim], qkv);
  const lse = arena.floats(heads * rows);
  kernels.attentionForward(out.data, lse, qkv.data, firstKey, shape, scale, precision);
  tape.record(out, (dout) => {
    const dqkv = arena.floats(qkv.size);
    kernels.attentionBackward(dqkv, dout, qkv.data, out.data, lse, firstKey, shape, scale, precision);
    kernels.ropeClipBackward(dqkv, clipMask, positions, rope.cos, rope.sin, shape);
    tape.passGrad(qkv, dqkv);
  });
  return out;
}
