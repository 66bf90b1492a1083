/**
 * Quantisers of Q4_K and Q6_K, equal to ggml's reference to the bit: a search for each sub-block's scale (k-search.ts), the
 * scales rounded to 6 or 8 bits of the largest, then every weight rounded again with the scales as they are stored.
 * Limit: no importance weights.
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c
 */
import { writeHalf } from './half-floats.ts';
import { scaleAndMin } from './k-dequantize.ts';
import { GROUP_MAX_EPS, nearestIntOf, searchScale, searchScaleAndMin } from './k-search.ts';

const { abs, fround, sqrt } = Math;
const WEIGHTS = 256;

export function quantizeQ4_K(bytes: Uint8Array, at: number, x: Float32Array, from: number): void {
  const nearestInt = nearestIntOf();
  const levels = new Uint8Array(WEIGHTS);
  const trial = new Uint8Array(32);
  const weights = new Float32Array(32);
  const scales = new Float32Array(8);
  const mins = new Float32Array(8);
  for (let j = 0; j < 8; j++) {
    const part = x.subarray(from + 32 * j, from + 32 * (j + 1));
    weigh(weights, part);
    const found = searchScaleAndMin(part, weights, levels.subarray(32 * j, 32 * (j + 1)), trial, nearestInt);
    scales[j] = found.scale;
    mins[j] = found.min;
  }
  const [most, mostMin] = [largest(scales), largest(mins)];
  const inverse = most > 0 ? fround(63 / most) : 0;
  const inverseMin = mostMin > 0 ? fround(63 / mostMin) : 0;
  const sixBits = (value: number) => Math.min(63, nearestInt(fround(value)) & 255);
  for (let j = 0; j < 8; j++) {
    packScales(bytes, at + 4, j, sixBits(inverse * scales[j]!), sixBits(inverseMin * mins[j]!));
  }
  const d = writeHalf(bytes, at, fround(most / 63));
  const dmin = writeHalf(bytes, at + 2, fround(mostMin / 63));
  for (let j = 0; j < 8; j++) {
    const [sixScale, sixMin] = scaleAndMin(bytes, at + 4, j);
    const scale = fround(d * sixScale);
    if (scale === 0) continue;
    const min = fround(dmin * sixMin);
    for (let i = 32 * j; i < 32 * (j + 1); i++) {
      levels[i] = clamp(nearestInt(fround(fround(x[from + i]! + min) / scale)), 0, 15);
    }
  }
  for (let i = 0; i < 128; i++) {
    const place = 64 * (i >> 5) + (i & 31);
    bytes[at + 16 + i] = levels[place]! | (levels[place + 32]! << 4);
  }
}

/** The root of the mean square plus |x|. */
function weigh(weights: Float32Array, x: Float32Array): void {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum = fround(sum + fround(x[i]! * x[i]!));
  const average = fround(sqrt(fround(sum / x.length)));
  for (let i = 0; i < x.length; i++) weights[i] = average + abs(x[i]!);
}

function largest(values: Float32Array): number {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  return most;
}

/** The inverse of {@link scaleAndMin}; j goes up from 0, so that upper bits meet bytes that are there. */
function packScales(bytes: Uint8Array, at: number, j: number, scale: number, min: number): void {
  if (j < 4) {
    bytes[at + j] = scale;
    bytes[at + j + 4] = min;
    return;
  }
  bytes[at + j + 4] = (scale & 15) | ((min & 15) << 4);
  bytes[at + j - 4]! |= (scale >> 4) << 6;
  bytes[at + j]! |= (min >> 4) << 6;
}

export function quantizeQ6_K(bytes: Uint8Array, at: number, x: Float32Array, from: number): void {
  const nearestInt = nearestIntOf();
  const part = x.subarray(from, from + WEIGHTS);
  const levels = new Int8Array(WEIGHTS);
  const scales = new Float32Array(16);
  let farthest = 0;
  for (let j = 0; j < 16; j++) {
    scales[j] = searchScale(part, 16 * j, 16, levels, nearestInt);
    if (abs(scales[j]!) > abs(farthest)) farthest = scales[j]!;
  }
  if (abs(farthest) < GROUP_MAX_EPS) {
    bytes.fill(0, at, at + 210);
    return;
  }
  const inverse = fround(-128 / farthest);
  const d = writeHalf(bytes, at + 208, fround(1 / inverse));
  for (let j = 0; j < 16; j++) {
    const stored = (Math.min(127, nearestInt(fround(inverse * scales[j]!))) << 24) >> 24;
    bytes[at + 192 + j] = stored;
    const scale = fround(d * stored);
    if (scale === 0) continue;
    for (let i = 16 * j; i < 16 * (j + 1); i++) {
      levels[i] = clamp(nearestInt(fround(part[i]! / scale)), -32, 31) + 32;
    }
  }
  packSixBits(bytes, at, levels);
}

/** As {@link dequantizeQ6_K} reads them. */
function packSixBits(bytes: Uint8Array, at: number, levels: Int8Array): void {
  for (let group = 0; group < 2; group++) {
    for (let l = 0; l < 32; l++) {
      const [a, b, c, d] = [0, 32, 64, 96].map((quarter) => levels[128 * group + quarter + l]!) as number[];
      bytes[at + 64 * group + l] = (a! & 15) | ((c! & 15) << 4);
      bytes[at + 64 * group + 32 + l] = (b! & 15) | ((d! & 15) << 4);
      bytes[at + 128 + 32 * group + l] = (a! >> 4) | ((b! >> 4) << 2) | ((c! >> 4) << 4) | ((d! >> 4) << 6);
    }
  }
}

function clamp(value: number, least: number, most: number): number {
  return value < least ? least : Math.min(value, most);
}
