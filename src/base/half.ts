/**
 * The two 16-bit float formats as bit patterns: IEEE half (float16) and bfloat16. Rounding is to nearest, ties to even,
 * straight from the double, so there is no double rounding.
 */

/** Bits of the half nearest to `value`; beyond 65,519.99 it is infinite. */
export function toFloat16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  if (size === 0) return sign;
  const exponent = Math.max(-14, exponentOf(size));
  const units = roundHalfEven(size * 2 ** (10 - exponent));
  // A subnormal has fewer than 1024 units and exponent field 0; a carry into the next exponent adds up by itself.
  return sign | (units < 1024 ? units : ((exponent + 15) << 10) + (units - 1024));
}

/** The value of a half. */
export function fromFloat16Bits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The half patterns nearest to float32 values, as {@link toFloat16Bits} but by whole numbers only; a NaN keeps its sign. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const sum = new Float32Array(1);
  const sumBits = new Uint32Array(sum.buffer);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const size = words[i]! & 0x7fffffff;
    let half: number;
    if (size >= 0x47800000) half = size > 0x7f800000 ? 0x7e00 : 0x7c00;
    else if (size < 0x38800000) {
      // Below 2^-14 a half counts in units of 2^-24, as does a float32 from 0.5 to 1.
      sum[0] = Math.abs(values[i]!) + 0.5;
      half = sumBits[0]! - 0x3f000000;
    } else half = (size + 0xfff + ((size >> 13) & 1) - 0x38000000) >> 13;
    bits[i] = half | ((words[i]! >>> 16) & 0x8000);
  }
  return bits;
}

/** Values of half patterns, exactly. */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  const values = new Float32Array(words.buffer);
  for (let i = 0; i < bits.length; i++) {
    const [size, sign] = [bits[i]! & 0x7fff, (bits[i]! & 0x8000) << 16];
    if (size >= 0x400) words[i] = sign | ((size << 13) + (size < 0x7c00 ? 0x38000000 : 0x70000000));
    else values[i] = (sign ? -size : size) * 2 ** -24;
  }
  return values;
}

/** Values of bfloat16 patterns, exactly. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

/** The bfloat16 patterns nearest to float32 values; NaN stays a (quiet) NaN. */
export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const quiet = (word & 0x7fffffff) > 0x7f800000;
    bits[i] = quiet ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return bits;
}

function exponentOf(size: number): number {
  const exponent = Math.floor(Math.log2(size));
  if (2 ** exponent > size) return exponent - 1;
  return 2 ** (exponent + 1) <= size ? exponent + 1 : exponent;
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
