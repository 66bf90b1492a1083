import { describe, expect, it } from 'vitest';
import { emptyBatch, fillSequence, readSequence, readTokens } from './batch.ts';

const reader = (tokens: unknown) => ({
  dir: 'shards',
  numSamples: 1,
  read: () => ({ tokens }),
  close: () => undefined,
});

describe('a sequence', () => {
  it('attends within each document, and has a target for every row where the sample has one more', () => {
    const batch = emptyBatch(2, 5);
    fillSequence(batch, 1, Int32Array.of(7, 0, 8, 9, 0, 4), 0);
    expect([...batch.tokens]).toEqual([0, 0, 0, 0, 0, 7, 0, 8, 9, 0]);
    expect([...batch.targets]).toEqual([-1, -1, -1, -1, -1, 0, 8, 9, 0, 4]);
    expect([...batch.firstKey]).toEqual([0, 0, 0, 0, 0, 5, 5, 7, 7, 7]);
    expect([...batch.positions]).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
    fillSequence(batch, 0, Int32Array.of(1, 0, 0, 2, 3), 0);
    expect([...batch.targets.subarray(0, 5)]).toEqual([0, 0, 2, 3, -1]);
    expect([...batch.firstKey.subarray(0, 5)]).toEqual([0, 0, 2, 3, 3]);
  });
});

describe('tokens', () => {
  it('are read from whole numbers of any width, and from bytes of int64', () => {
    const ids = [3, 0, 65535];
    const forms = [
      Int32Array.from(ids),
      Uint16Array.from(ids),
      Uint32Array.from(ids),
      BigInt64Array.from(ids.map(BigInt)),
      new Uint8Array(BigInt64Array.from(ids.map(BigInt)).buffer),
    ];
    for (const form of forms) expect([...readTokens(reader(form), 0)]).toEqual(ids);
  });

  it.each([
    ['a float', Float32Array.of(1)],
    ['text', 'a'],
    ['nothing', undefined],
    ['bytes that are no int64', new Uint8Array(12)],
  ])('are not %s', (_, tokens) => {
    expect(() => readTokens(reader(tokens), 0)).toThrow(
      expect.objectContaining({ code: 'shard_index_invalid' }),
    );
  });

  it.each([
    ['negative', Int32Array.of(1, -1)],
    ['that the vocabulary does not have', Int32Array.of(100)],
    ['beyond 32 bits', BigInt64Array.of(2n ** 32n + 1n)],
    ['beyond 31 bits', Uint32Array.of(2 ** 31 + 1)],
    ['in high words', new Uint8Array(BigInt64Array.of(2n ** 33n).buffer)],
  ])('with an id %s are refused', (_, tokens) => {
    const read = () => readTokens(reader(tokens), 0, { vocabSize: 100 });
    expect(read).toThrow(expect.objectContaining({ code: 'token_out_of_range' }));
  });

  it('are as many as a sequence has rows, or one more', () => {
    expect(readSequence(reader(new Int32Array(8)), 0, 8)).toHaveLength(8);
    expect(readSequence(reader(new Int32Array(9)), 0, 8)).toHaveLength(9);
    for (const length of [7, 10]) {
      expect(() => readSequence(reader(new Int32Array(length)), 0, 8)).toThrow(
        expect.objectContaining({ code: 'sequence_length_mismatch' }),
      );
    }
  });
});
