/**
 * Attention of the addon (native/kernels/attention*.cc). In `bf16` the operands are rounded, and probabilities and their
 * gradients too where the hardware multiplies bf16. Over caches everything is f32.
 */
import type { AttentionShape, FloatArray, TransformerKernels } from '../kernels.ts';
import { methodsOf, type NativeMethods } from './addon.ts';

type ShapeArguments = [rows: number, heads: number, kvHeads: number, headDim: number];
type ScoreArguments = [slopes: Float32Array | null, cap: number];

interface Methods {
  attentionForward(
    out: FloatArray,
    lse: FloatArray,
    qkv: FloatArray,
    firstKey: Int32Array,
    ...rest: [...ShapeArguments, scale: number, bf16: boolean, ...ScoreArguments]
  ): void;
  attentionBackward(
    dqkv: FloatArray,
    dout: FloatArray,
    qkv: FloatArray,
    out: FloatArray,
    lse: FloatArray,
    firstKey: Int32Array,
    ...rest: [...ShapeArguments, scale: number, bf16: boolean, ...ScoreArguments]
  ): void;
  attentionCached(
    out: FloatArray,
    keyCache: FloatArray,
    valueCache: FloatArray,
    qkv: FloatArray,
    slots: Int32Array,
    positions: Int32Array,
    ...rest: [...ShapeArguments, cacheLength: number, scale: number, window: number, ...ScoreArguments]
  ): void;
}

type AttentionKernels = Pick<
  TransformerKernels,
  'attentionForward' | 'attentionBackward' | 'attentionCached'
>;

export function attentionKernels(methods: NativeMethods): AttentionKernels {
  const native = methodsOf<Methods>(methods);
  return {
    attentionForward: (out, lse, qkv, firstKey, shape, scale, precision) =>
      native.attentionForward(
        out,
        lse,
        qkv,
        firstKey,
        ...argumentsOf(shape),
        scale,
        precision === 'bf16',
        ...scoresOf(shape),
      ),
    attentionBackward: (dqkv, dout, qkv, out, lse, firstKey, shape, scale, precision) =>
      native.attentionBackward(
        dqkv,
        dout,
        qkv,
        out,
        lse,
        firstKey,
        ...argumentsOf(shape),
        scale,
        precision === 'bf16',
        ...scoresOf(shape),
      ),
    attentionCached: (
      out,
      keyCache,
      valueCache,
      qkv,
      slots,
      positions,
      shape,
      cacheLength,
      scale,
      window = 0,
    ) =>
      native.attentionCached(
        out,
        keyCache,
        valueCache,
        qkv,
        slots,
        positions,
        ...argumentsOf(shape),
        cacheLength,
        scale,
        window,
        ...scoresOf(shape),
      ),
  };
}

function scoresOf({ scores }: AttentionShape): ScoreArguments {
  return [scores?.slopes ?? null, scores?.cap ?? 0];
}

function argumentsOf(shape: AttentionShape): ShapeArguments {
  return [shape.rows, shape.heads, shape.kvHeads, shape.headDim];
}
