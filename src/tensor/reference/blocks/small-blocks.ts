/**
 * Blocks of 32 weights: one scale, for the formats `_1` a least value too, and 4, 5 or 8 bits a weight. Of two weights in
 * one byte the lower half is weight j, the upper one weight j + 16. Fifth bits stand in a word of their own, bit j for weight j.
 * Arithmetic is that of ggml's reference quantiser in f32, rounded after every operation, so blocks are equal to its own to the bit.
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c
 */
import { readHalf, writeHalf } from './half-floats.ts';

const { abs, floor, fround, min: lesser, sign, trunc } = Math;
const WEIGHTS = 32;
const HALF = 16;

/** As C converts a float to int8_t on x86: what no int holds gives 0. */
function toInt(value: number): number {
  return abs(value) < 2 ** 31 ? trunc(value) : 0;
}

function inverse(scale: number): number {
  return scale === 0 ? 0 : fround(1 / scale);
}

/** The value farthest from 0, the first of equals. */
function farthest(x: Float32Array, from: number): number {
  let most = 0;
  let value = 0;
  for (let i = from; i < from + WEIGHTS; i++) {
    if (abs(x[i]!) > most) {
      most = abs(x[i]!);
      value = x[i]!;
    }
  }
  return value;
}

export function quantizeQ8_0(bytes: Uint8Array, at: number, x: Float32Array, from: number): void {
  const scale = fround(abs(farthest(x, from)) / 127);
  const factor = inverse(scale);
  writeHalf(bytes, at, scale);
  for (let j = 0; j < WEIGHTS; j++) {
    const value = fround(x[from + j]! * factor);
    // Halves are rounded away from zero.
    bytes[at + 2 + j] = toInt(sign(value) * floor(abs(value) + 0.5));
  }
}

export function dequantizeQ8_0(y: Float32Array, to: number, bytes: Uint8Array, at: number): void {
  const scale = readHalf(bytes, at);
  for (let j = 0; j < WEIGHTS; j++) y[to + j] = ((bytes[at + 2 + j]! << 24) >> 24) * scale;
}

/** Q4_0 and Q5_0: levels from -levels/2, so that the value farthest from 0 is exactly the lowest one. */
function quantizeSigned(bits: 4 | 5) {
  const middle = 2 ** (bits - 1);
  return (bytes: Uint8Array, at: number, x: Float32Array, from: number): void => {
    const scale = fround(farthest(x, from) / -middle);
    const factor = inverse(scale);
    writeHalf(bytes, at, scale);
    const level = (i: number) =>
      lesser(2 * middle - 1, (toInt(fround(fround(x[from + i]! * factor) + (middle + 0.5))) << 24) >> 24) &
      255;
    writeLevels(bytes, at + 2, bits, level);
  };
}

/** Q4_1 and Q5_1: levels from the least value to the largest. */
function quantizeShifted(bits: 4 | 5) {
  const last = 2 ** bits - 1;
  return (bytes: Uint8Array, at: number, x: Float32Array, from: number): void => {
    let least = x[from]!;
    let most = x[from]!;
    for (let i = from + 1; i < from + WEIGHTS; i++) {
      if (x[i]! < least) least = x[i]!;
      if (x[i]! > most) most = x[i]!;
    }
    const scale = fround(fround(most - least) / last);
    const factor = inverse(scale);
    writeHalf(bytes, at, scale);
    writeHalf(bytes, at + 2, least);
    const level = (i: number) => {
      const value = toInt(fround(fround(fround(x[from + i]! - least) * factor) + 0.5));
      return bits === 4 ? lesser(last, (value << 24) >> 24) & 255 : value & 255;
    };
    writeLevels(bytes, at + 4, bits, level);
  };
}

function writeLevels(bytes: Uint8Array, at: number, bits: 4 | 5, level: (i: number) => number): void {
  let fifths = 0;
  const low = bits === 4 ? at : at + 4;
  for (let j = 0; j < HALF; j++) {
    const [a, b] = [level(j), level(j + HALF)];
    bytes[low + j] = bits === 4 ? a | (b << 4) : (a & 15) | ((b & 15) << 4);
    fifths |= (((a >> 4) & 1) << j) | (((b >> 4) & 1) << (j + HALF));
  }
  if (bits === 5) for (let k = 0; k < 4; k++) bytes[at + k] = fifths >>> (8 * k);
}

function dequantizeSmall(bits: 4 | 5, shifted: boolean) {
  const middle = 2 ** (bits - 1);
  return (y: Float32Array, to: number, bytes: Uint8Array, at: number): void => {
    const scale = readHalf(bytes, at);
    const least = shifted ? readHalf(bytes, at + 2) : 0;
    const start = at + (shifted ? 4 : 2);
    const low = bits === 4 ? start : start + 4;
    for (let i = 0; i < WEIGHTS; i++) {
      const nibble = i < HALF ? bytes[low + i]! & 15 : bytes[low + i - HALF]! >> 4;
      const fifth = bits === 4 ? 0 : (bytes[start + (i >> 3)]! >> (i & 7)) & 1;
      const level = nibble | (fifth << 4);
      y[to + i] = shifted ? fround(level * scale) + least : (level - middle) * scale;
    }
  };
}

export const quantizeQ4_0 = quantizeSigned(4);
export const quantizeQ5_0 = quantizeSigned(5);
export const quantizeQ4_1 = quantizeShifted(4);
export const quantizeQ5_1 = quantizeShifted(5);
export const dequantizeQ4_0 = dequantizeSmall(4, false);
export const dequantizeQ5_0 = dequantizeSmall(5, false);
export const dequantizeQ4_1 = dequantizeSmall(4, true);
export const dequantizeQ5_1 = dequantizeSmall(5, true);
