/**
 * How kernels are compared with the reference: the same call on equal arrays, once by the reference and by the tested
 * kernels on one and on two threads; the two threads must agree with the one to the bit, and with the reference to a
 * tolerance. Arrays start at random places of their buffers, so vectors are rarely aligned.
 *
 * Tolerances are multiples of u = 2^-24, the rounding of one f32 operation, relative to a magnitude:
 * - products: Σ|a·b| of each element; n additions in any order are off by at most n·u of that;
 * - other sums of n terms: 4·sqrt(n) roundings of random sign, relative to the size of their terms (not of the result,
 *   which may cancel), or to the largest value of the array.
 */
import { expect } from 'vitest';
import type { FloatArray, Kernels } from '../kernels.ts';
import { createReferenceKernels } from '../reference/index.ts';

export type Outputs = Readonly<Record<string, FloatArray | Int32Array | Uint8Array>>;

/** One rounding to f32, relative. */
export const F32_ROUNDING = 2 ** -24;

/** Relative error of a sum of n terms whose roundings have random signs, with 16 roundings for the operations around it. */
export function sumTolerance(n: number): number {
  return (16 + 4 * Math.sqrt(n)) * F32_ROUNDING;
}

/** Random inputs that any number of calls may copy; xorshift32 (Marsaglia 2003), fast enough for large arrays. */
export class Inputs {
  private state: number;

  constructor(seed: number) {
    this.state = (Math.imul(seed + 1, 0x9e3779b9) | 1) >>> 0;
    for (let i = 0; i < 8; i++) this.next();
  }

  private next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state / 2 ** 32;
  }

  /** Zeros at a random place of a buffer. */
  zeros(length: number): Float32Array {
    const start = this.below(4);
    return new Float32Array(length + start).subarray(start);
  }

  /** Mean 0, deviation `scale`, bounded by 3.5 deviations (a sum of four uniform draws). */
  normal(length: number, scale = 1): Float32Array {
    const values = this.zeros(length);
    const factor = scale * Math.sqrt(3);
    for (let i = 0; i < length; i++) {
      values[i] = factor * (this.next() + this.next() + this.next() + this.next() - 2);
    }
    return values;
  }

  integers(length: number, bound: number): Int32Array {
    return Int32Array.from({ length }, () => this.below(bound));
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }
}

/** An array of one magnitude, for outputs whose terms may cancel: the size of the terms, not of the result. */
export function filled(length: number, value: number): Float32Array {
  return new Float32Array(length).fill(value);
}

export function largestOf(...arrays: FloatArray[]): number {
  let largest = 0;
  for (const array of arrays) for (const value of array) largest = Math.max(largest, Math.abs(value));
  return largest;
}

/** A copy that keeps the place in the buffer modulo 64 bytes. */
export function copyOf(source: Float32Array): Float32Array {
  const start = (source.byteOffset % 64) / 4;
  const copy = new Float32Array(source.length + start).subarray(start);
  copy.set(source);
  return copy;
}

/**
 * Runs `call` on both and compares what it returns. `call` copies what the kernel writes. `magnitudes` gives, for outputs
 * named there, what the tolerance is relative to per element; others are relative to their largest value.
 */
export function compareKernels(
  kernels: Kernels,
  call: (kernels: Kernels) => Outputs,
  tolerance: number,
  magnitudes: Readonly<Record<string, FloatArray>> = {},
): void {
  const expected = call(createReferenceKernels());
  kernels.setThreads(1);
  const alone = call(kernels);
  kernels.setThreads(2);
  const together = call(kernels);
  kernels.setThreads(1);
  for (const name of Object.keys(expected)) {
    expectSameBits(`${name} on two threads`, together[name], alone[name]);
    expectClose(name, alone[name], expected[name], tolerance, magnitudes[name]);
  }
}

/** Fails unless both hold the same values to the bit (any NaN equals any NaN). */
export function expectSameBits(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length, name).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    if (!Object.is(actual[i], expected[i])) expect.fail(`${name}[${i}] is ${actual[i]}, not ${expected[i]}`);
  }
}

/** Fails unless every element is within tolerance · magnitude of the expected one; integers must be equal. */
export function expectClose(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  magnitudes?: FloatArray,
): void {
  if (!(expected instanceof Float32Array || expected instanceof Float64Array)) {
    expectSameBits(name, actual, expected);
    return;
  }
  expect(actual.length, name).toBe(expected.length);
  const largest = largestOf(expected);
  for (let i = 0; i < expected.length; i++) {
    const allowed = tolerance * (magnitudes ? magnitudes[i] : largest);
    if (!(Math.abs(actual[i] - expected[i]) <= allowed)) {
      expect.fail(`${name}[${i}] of ${expected.length} is ${actual[i]}, not ${expected[i]} ± ${allowed}`);
    }
  }
}
