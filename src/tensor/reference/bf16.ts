/**
 * bfloat16: the upper 16 bits of an f32, rounded to the nearest, ties to even, as `vcvtne2ps2bf16` and PyTorch round.
 * NaN stays NaN. The value range is that of f32; the significand has 8 bits, so the relative error is at most 2^-9.
 */
import type { FloatArray, Precision } from '../kernels.ts';

/** Rounds one number to bf16 (through f32). */
export function roundToBf16(value: number): number {
  const float = new Float32Array([value]);
  roundInPlace(float);
  return float[0];
}

/** The operand of a product as `precision` sees it: `source` itself for f32 or float64 arrays, a rounded copy for bf16. */
export function asOperand(source: FloatArray, precision: Precision): FloatArray {
  if (precision === 'f32' || source instanceof Float64Array) return source;
  const rounded = source.slice();
  roundInPlace(rounded);
  return rounded;
}

function roundInPlace(values: Float32Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i] & 0x7fffffff) > 0x7f800000) continue;
    bits[i] = ((bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) & 0xffff0000) >>> 0;
  }
}
