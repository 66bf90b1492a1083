/** The one half-precision scale of a block, little endian. */
import { fromFloat16Bits, toFloat16Bits } from '../../../base/index.ts';

export function readHalf(bytes: Uint8Array, at: number): number {
  return fromFloat16Bits(bytes[at]! | (bytes[at + 1]! << 8));
}

/** @returns the value as it was rounded */
export function writeHalf(bytes: Uint8Array, at: number, value: number): number {
  const bits = toFloat16Bits(value);
  bytes[at] = bits & 255;
  bytes[at + 1] = bits >> 8;
  return fromFloat16Bits(bits);
}
