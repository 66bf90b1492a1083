import { describe, expect, it } from 'vitest';
import { bfloat16ToFloat32, float32ToBfloat16, fromFloat16Bits, toFloat16Bits } from './half.ts';

describe('float16', () => {
  it('keeps every finite pattern over decode and encode', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      if (((bits >> 10) & 31) === 31 && bits & 1023) continue;
      expect(toFloat16Bits(fromFloat16Bits(bits))).toBe(bits);
    }
  });

  it('rounds to nearest, ties to even, and overflows to infinity', () => {
    expect(fromFloat16Bits(toFloat16Bits(1 + 2 ** -11))).toBe(1);
    expect(fromFloat16Bits(toFloat16Bits(1 + 3 * 2 ** -11))).toBe(1 + 2 ** -9);
    expect(fromFloat16Bits(toFloat16Bits(1 + 2 ** -11 + 2 ** -30))).toBe(1 + 2 ** -10);
    expect(fromFloat16Bits(toFloat16Bits(2 ** -25))).toBe(0);
    expect(fromFloat16Bits(toFloat16Bits(65519.99))).toBe(65504);
    expect(fromFloat16Bits(toFloat16Bits(65520))).toBe(Number.POSITIVE_INFINITY);
    expect(fromFloat16Bits(toFloat16Bits(Number.NaN))).toBeNaN();
  });
});

describe('bfloat16', () => {
  it('keeps every pattern that is not a NaN and rounds ties to even', () => {
    const patterns = Uint16Array.from({ length: 0x10000 }, (_, i) => i).filter((i) => (i & 0x7fff) <= 0x7f80);
    expect(float32ToBfloat16(bfloat16ToFloat32(patterns))).toEqual(patterns);
    expect([
      ...bfloat16ToFloat32(float32ToBfloat16(Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, Number.NaN))),
    ]).toEqual([1, 1 + 2 ** -6, Number.NaN]);
  });
});
