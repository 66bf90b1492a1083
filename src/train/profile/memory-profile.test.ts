import { expect, it } from 'vitest';
import { MemoryProfile, type Piece } from './memory-profile.ts';

const activation = (name: string, sizeBytes: number): Piece => ({ name, use: 'activations', sizeBytes });

it('finds what was live when most was, in the time recorded', () => {
  const memory = new MemoryProfile();
  const [weights, tape] = [{}, {}];
  memory.take(weights, { name: 'w', use: 'parameters', sizeBytes: 100 }, 0);
  memory.take(tape, activation('before', 1000), 1);
  memory.release(tape, 0, 2);
  memory.recording = true;
  memory.take(tape, activation('a', 10), 3);
  memory.take(tape, activation('scratch', 50), 4);
  memory.release(tape, 1, 5);
  memory.take(tape, activation('b', 40), 6);
  memory.release(tape, 0, 7);
  expect(memory.highWater().map(({ name }) => name)).toEqual(['w', 'a', 'scratch']);
  expect(memory.samples.map(({ atMs, usedBytes }) => [atMs, usedBytes.activations])).toEqual([
    [3, 10],
    [4, 60],
    [5, 10],
    [6, 50],
    [7, 0],
  ]);
  expect(memory.samples.every(({ usedBytes }) => usedBytes.parameters === 100)).toBe(true);
  memory.take(tape, activation('c', 61), 8);
  expect(memory.highWater().map(({ name }) => name)).toEqual(['w', 'c']);
});
