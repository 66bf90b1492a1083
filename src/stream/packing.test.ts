import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packBestFit } from './packing.ts';

/** The same rule, looking through all sequences for every document. */
function slowly(lengths: readonly number[], capacity: number): number {
  const rooms: number[] = [];
  for (const length of [...lengths].sort((a, b) => b - a)) {
    const fitting = rooms.filter((room) => room >= length);
    const best = fitting.length > 0 ? rooms.indexOf(Math.min(...fitting)) : rooms.push(capacity) - 1;
    rooms[best]! -= length;
  }
  return rooms.length;
}

describe('packing', () => {
  it('puts every document into one sequence that holds it, as few as best fit takes', () => {
    const input = fc
      .integer({ min: 1, max: 5000 })
      .chain((capacity) =>
        fc.tuple(fc.constant(capacity), fc.array(fc.integer({ min: 1, max: capacity }), { maxLength: 200 })),
      );
    fc.assert(
      fc.property(input, ([capacity, lengths]) => {
        const sequences = packBestFit(lengths, capacity);
        expect(sequences.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
        for (const each of sequences) {
          expect(each.reduce((sum, i) => sum + lengths[i]!, 0)).toBeLessThanOrEqual(capacity);
          expect(each).toEqual([...each].sort((a, b) => a - b));
        }
        expect(sequences.length).toBe(slowly(lengths, capacity));
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('keeps to the order of the documents, sequence by sequence', () => {
    expect(packBestFit([3, 9, 6, 1, 4, 7], 10)).toEqual([
      [0, 5],
      [1, 3],
      [2, 4],
    ]);
    expect(packBestFit([], 10)).toEqual([]);
  });

  it('takes about as long a document for ten times as many', () => {
    let steps = 0;
    const counted = (n: number) => {
      steps = 0;
      const lengths = Array.from({ length: n }, (_, i) => 1 + ((i * 7919) % 4096));
      const watched = new Proxy(lengths, {
        get: (target, key) => {
          steps++;
          return Reflect.get(target, key);
        },
      });
      packBestFit(watched, 4096);
      return steps / n;
    };
    expect(counted(20_000) / counted(2000)).toBeLessThan(1.1);
  });
});
