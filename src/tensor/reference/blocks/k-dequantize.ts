/**
 * Values of the K formats: super-blocks of 256 weights, cut into sub-blocks of 16 or 32 whose scales (and least values) are
 * themselves whole numbers times one half of the super-block.
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c
 */
import { readHalf } from './half-floats.ts';

const { fround } = Math;

/** Of Q4_K and Q5_K: scale (6 bits) and least value (6 bits) of sub-block j = 0..7, from 12 bytes. */
export function scaleAndMin(bytes: Uint8Array, at: number, j: number): [scale: number, min: number] {
  if (j < 4) return [bytes[at + j]! & 63, bytes[at + j + 4]! & 63];
  const low = bytes[at + j + 4]!;
  return [(low & 15) | ((bytes[at + j - 4]! >> 6) << 4), (low >> 4) | ((bytes[at + j]! >> 6) << 4)];
}

/** f16 d, f16 dmin, 12 scales, 128 bytes: of every 64 weights the first 32 are lower halves, the next 32 upper ones. */
export function dequantizeQ4_K(y: Float32Array, to: number, bytes: Uint8Array, at: number): void {
  const [d, dmin] = [readHalf(bytes, at), readHalf(bytes, at + 2)];
  for (let j = 0; j < 8; j++) {
    const [scale, least] = scaled(bytes, at + 4, j, d, dmin);
    const from = at + 16 + 32 * (j >> 1);
    const shift = 4 * (j & 1);
    for (let l = 0; l < 32; l++) {
      y[to + 32 * j + l] = fround(scale * ((bytes[from + l]! >> shift) & 15)) - least;
    }
  }
}

/** As Q4_K, with 32 bytes of fifth bits before the halves: bit j of byte l belongs to weight l of sub-block j. */
export function dequantizeQ5_K(y: Float32Array, to: number, bytes: Uint8Array, at: number): void {
  const [d, dmin] = [readHalf(bytes, at), readHalf(bytes, at + 2)];
  for (let j = 0; j < 8; j++) {
    const [scale, least] = scaled(bytes, at + 4, j, d, dmin);
    const from = at + 48 + 32 * (j >> 1);
    const shift = 4 * (j & 1);
    for (let l = 0; l < 32; l++) {
      const level = ((bytes[from + l]! >> shift) & 15) + ((bytes[at + 16 + l]! >> j) & 1) * 16;
      y[to + 32 * j + l] = fround(scale * level) - least;
    }
  }
}

function scaled(bytes: Uint8Array, at: number, j: number, d: number, dmin: number): [number, number] {
  const [scale, least] = scaleAndMin(bytes, at, j);
  return [fround(d * scale), fround(dmin * least)];
}

/** 128 lower halves, 64 bytes of upper pairs, 16 int8 scales, f16 d; a sub-block has 16 weights. */
export function dequantizeQ6_K(y: Float32Array, to: number, bytes: Uint8Array, at: number): void {
  const d = readHalf(bytes, at + 208);
  for (let i = 0; i < 256; i++) {
    const [group, quarter, l] = [i >> 7, (i >> 5) & 3, i & 31];
    const low = (bytes[at + 64 * group + 32 * (quarter & 1) + l]! >> (4 * (quarter >> 1))) & 15;
    const high = (bytes[at + 128 + 32 * group + l]! >> (2 * quarter)) & 3;
    const scale = (bytes[at + 192 + (i >> 4)]! << 24) >> 24;
    y[to + i] = fround(d * scale) * ((low | (high << 4)) - 32);
  }
}

/** 16 bytes of scales (lower half) and least values (upper), 64 bytes of pairs, f16 d, f16 dmin. */
export function dequantizeQ2_K(y: Float32Array, to: number, bytes: Uint8Array, at: number): void {
  const [d, dmin] = [readHalf(bytes, at + 80), readHalf(bytes, at + 82)];
  for (let i = 0; i < 256; i++) {
    const scales = bytes[at + (i >> 4)]!;
    const level = (bytes[at + 16 + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3))) & 3;
    y[to + i] = fround(fround(d * (scales & 15)) * level) - fround(dmin * (scales >> 4));
  }
}

/** 32 bytes of third bits (absent: minus 4), 64 bytes of pairs, 12 bytes of 16 scales of 6 bits less 32, f16 d. */
export function dequantizeQ3_K(y: Float32Array, to: number, bytes: Uint8Array, at: number): void {
  const d = readHalf(bytes, at + 108);
  for (let i = 0; i < 256; i++) {
    const [j, eighth, l] = [i >> 4, i >> 5, i & 31];
    const low = j < 8 ? bytes[at + 96 + j]! & 15 : bytes[at + 96 + j - 8]! >> 4;
    const high = (bytes[at + 104 + (j & 3)]! >> (2 * (j >> 2))) & 3;
    const third = (bytes[at + l]! >> eighth) & 1;
    const level = ((bytes[at + 32 + 32 * (i >> 7) + l]! >> (2 * (eighth & 3))) & 3) - (third ? 0 : 4);
    y[to + i] = fround(d * ((low | (high << 4)) - 32)) * level;
  }
}
