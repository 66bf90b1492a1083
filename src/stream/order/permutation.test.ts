import { describe, expect, it } from 'vitest';
import { IndexPermutation, type OrderKey, subkey } from './permutation.ts';

const KEY: OrderKey = { seed: 7, stream: 3 };
const whole = (size: number, key: OrderKey) => {
  const permutation = new IndexPermutation(size, key);
  return Float64Array.from({ length: size }, (_, place) => permutation.at(place));
};

/** Chi square against all of `counts` being equal, in standard deviations from its mean. */
function excess(counts: readonly number[]): number {
  const expected = counts.reduce((sum, each) => sum + each, 0) / counts.length;
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  return (chiSquare - counts.length) / Math.sqrt(2 * counts.length);
}

describe('IndexPermutation', () => {
  it('holds every number once, for any size, and another order for any other key', () => {
    for (const size of [1, 2, 3, 10, 1024, 1025, 1026, 5000, 65_536, 70_001]) {
      const order = whole(size, KEY);
      expect(order.toSorted().every((value, i) => value === i)).toBe(true);
      if (size < 10) continue;
      for (const other of [{ seed: 8, stream: 3 }, { seed: 7, stream: 4 }, subkey(KEY, 0)]) {
        const another = whole(size, other);
        expect(order.some((value, i) => value !== another[i])).toBe(true);
      }
    }
  });

  it.each([5, 2000])('puts each of %i numbers at each place equally often', (size) => {
    const counts = new Array(25).fill(0);
    for (let epoch = 0; epoch < 1000; epoch++) {
      const permutation = new IndexPermutation(size, subkey(KEY, epoch));
      for (let place = 0; place < 5; place++)
        counts[5 * place + Math.floor((permutation.at(place) * 5) / size)]++;
    }
    // The seed is fixed; by chance 4 is exceeded once in ten thousand.
    expect(Math.abs(excess(counts))).toBeLessThan(4);
  });

  it('has no more to do with the order before it than chance has', () => {
    const size = 100_000;
    const order = whole(size, KEY);
    let serial = 0;
    let ascents = 0;
    for (let i = 1; i < size; i++) {
      serial += (order[i - 1]! / size - 0.5) * (order[i]! / size - 0.5) * 12;
      if (order[i]! > order[i - 1]!) ascents++;
    }
    expect(Math.abs(serial / Math.sqrt(size))).toBeLessThan(4);
    expect(Math.abs(ascents - size / 2) / Math.sqrt(size / 12)).toBeLessThan(4);
  });

  it('reaches any place of a trillion', () => {
    const permutation = new IndexPermutation(2 ** 40, KEY);
    const seen = new Set([0, 1, 2 ** 39, 2 ** 40 - 1].map((place) => permutation.at(place)));
    expect(seen.size).toBe(4);
    for (const each of seen) expect(each >= 0 && each < 2 ** 40).toBe(true);
  });
});
