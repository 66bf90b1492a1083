/** Checks every reference kernel makes on entry: a wrong length or index is a mistake of the caller and throws. */
import { assert } from '../../base/index.ts';

/** Throws unless `array` holds exactly `expected` values. */
export function checkLength(name: string, array: { readonly length: number }, expected: number): void {
  if (array.length !== expected) {
    assert(false, `${name} holds ${array.length} values, expected ${expected}`);
  }
}

/** Throws unless the size is an integer >= 0. */
export function checkSize(name: string, size: number): void {
  if (!Number.isInteger(size) || size < 0) assert(false, `${name} is ${size}, expected an integer >= 0`);
}

/** Throws unless every index is in 0..bound-1. */
export function checkIndices(name: string, indices: Int32Array, bound: number): void {
  for (let i = 0; i < indices.length; i++) {
    if (indices[i] < 0 || indices[i] >= bound) {
      assert(false, `${name}[${i}] is ${indices[i]}, expected 0..${bound - 1}`);
    }
  }
}

/** Throws unless `offsets` starts at 0 and never falls; returns its last value, the number of rows. */
export function checkOffsets(offsets: Int32Array, groups: number): number {
  checkLength('offsets', offsets, groups + 1);
  assert(offsets[0] === 0, `offsets[0] is ${offsets[0]}, expected 0`);
  for (let g = 0; g < groups; g++) {
    if (offsets[g + 1] < offsets[g]) {
      assert(false, `offsets[${g + 1}] is ${offsets[g + 1]}, less than offsets[${g}] = ${offsets[g]}`);
    }
  }
  return offsets[groups];
}
