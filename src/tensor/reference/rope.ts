/**
 * Clamping of a fused QKV row, then rotary position embedding of its query and key heads.
 *
 * Rotation (Su et al. 2021) in the NeoX layout: column i of a head pairs with column i + P/2,
 * (a, b) -> (a·cos - b·sin, b·cos + a·sin); backward is the rotation by the opposite angle.
 * Clamping is `clip_qkv` of MPT and DBRX; its gradient is 0 where a value was not strictly inside the bounds.
 */
import { assert } from '../../base/index.ts';
import type { AttentionShape, FloatArray, TransformerKernels } from '../kernels.ts';
import { checkIndices, checkLength } from './lengths.ts';

type RopeKernels = Pick<TransformerKernels, 'ropeClipForward' | 'ropeClipBackward'>;

function ropeClipForward(
  qkv: FloatArray,
  clipMask: Uint8Array | null,
  positions: Int32Array,
  cos: FloatArray,
  sin: FloatArray,
  shape: AttentionShape,
  clip: number,
): void {
  check(qkv, clipMask, positions, cos, sin, shape);
  for (let i = 0; i < qkv.length; i++) {
    if (clipMask !== null) clipMask[i] = clip === 0 || Math.abs(qkv[i]) < clip ? 1 : 0;
    if (clip !== 0) qkv[i] = Math.min(Math.max(qkv[i], -clip), clip);
  }
  rotate(qkv, positions, cos, sin, shape, 1);
}

function ropeClipBackward(
  dqkv: FloatArray,
  clipMask: Uint8Array | null,
  positions: Int32Array,
  cos: FloatArray,
  sin: FloatArray,
  shape: AttentionShape,
): void {
  check(dqkv, clipMask, positions, cos, sin, shape);
  rotate(dqkv, positions, cos, sin, shape, -1);
  if (clipMask === null) return;
  for (let i = 0; i < dqkv.length; i++) if (clipMask[i] === 0) dqkv[i] = 0;
}

/** Rotates the query and key heads of every row by `direction` times the angle of the row's position. */
function rotate(
  qkv: FloatArray,
  positions: Int32Array,
  cos: FloatArray,
  sin: FloatArray,
  shape: AttentionShape,
  direction: 1 | -1,
): void {
  const { rows, heads, kvHeads, headDim } = shape;
  const half = headDim / 2;
  const columns = (heads + 2 * kvHeads) * headDim;
  for (let r = 0; r < rows; r++) {
    for (let head = 0; head < heads + kvHeads; head++) {
      for (let i = 0; i < half; i++) {
        const c = cos[positions[r] * half + i];
        const s = direction * sin[positions[r] * half + i];
        const low = r * columns + head * headDim + i;
        const [a, b] = [qkv[low], qkv[low + half]];
        qkv[low] = a * c - b * s;
        qkv[low + half] = b * c + a * s;
      }
    }
  }
}

function check(
  qkv: FloatArray,
  clipMask: Uint8Array | null,
  positions: Int32Array,
  cos: FloatArray,
  sin: FloatArray,
  shape: AttentionShape,
): void {
  const half = shape.headDim / 2;
  assert(Number.isInteger(half) && half > 0, `headDim is ${shape.headDim}, expected an even number > 0`);
  checkLength('qkv', qkv, shape.rows * (shape.heads + 2 * shape.kvHeads) * shape.headDim);
  if (clipMask !== null) checkLength('clipMask', clipMask, qkv.length);
  checkLength('positions', positions, shape.rows);
  checkLength('sin', sin, cos.length);
  checkIndices('positions', positions, Math.floor(cos.length / half));
}

export const ropeKernels: RopeKernels = { ropeClipForward, ropeClipBackward };
