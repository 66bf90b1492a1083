import { describe, expect, it } from 'vitest';
import { streamConfigSchema } from '../config.ts';
import type { SampleReader } from '../sample-reader.ts';
import { MosaicDataset, type MosaicDatasetOptions } from './mosaic-dataset.ts';
import { isMosaicOrder } from './order-config.ts';

const T = 2;
const END = 0;
const code = (expected: string) => expect.objectContaining({ code: expected });
const ascending = (a: number, b: number) => a - b;

/** Sample i begins with token base + i. */
function memoryReader(shardSizes: readonly number[], base: number): SampleReader {
  const numSamples = shardSizes.reduce((sum, size) => sum + size, 0);
  const read = (index: number) => ({ tokens: Int32Array.of(base + index, 1, 2) });
  return { dir: 'memory', numSamples, shardSizes, read, close: () => undefined };
}

function open(config: object = {}, options: Partial<MosaicDatasetOptions> = {}): MosaicDataset {
  const streams = { a: memoryReader([10, 12, 14], 100), b: memoryReader([9, 9, 10], 1000) };
  const parsed = streamConfigSchema.parse({ shuffle: 'py1s', canonicalNodes: 2, ...config });
  return new MosaicDataset({ streams, config: parsed, batchSequences: 8, endOfText: END, ...options });
}

const draw = (data: MosaicDataset, sequences: number) => {
  const { tokens, targets, numSequences } = data.nextBatch(sequences, T);
  return Array.from({ length: numSequences }, (_, b) => tokens[b * T]!).filter(
    (_, b) => targets[b * T]! >= 0,
  );
};

describe('MosaicDataset', () => {
  it('draws each sample once an epoch, in a new order, and fills the last batch up', () => {
    const data = open();
    const epochs = [0, 1].map(() => Array.from({ length: 8 }, () => draw(data, 8)).flat());
    expect(epochs[0]!.length).toBe(64);
    expect(epochs[0]!.toSorted(ascending)).toEqual(epochs[1]!.toSorted(ascending));
    expect(new Set(epochs[0]).size).toBe(64);
    expect(epochs[0]).not.toEqual(epochs[1]);
    const uneven = open({}, { batchSequences: 48 });
    expect([48, 48].map((size) => draw(uneven, size).length)).toEqual([48, 16]);
    expect(uneven.state()).toMatchObject({ epoch: 1, sample_in_epoch: 0 });
  });

  it('is the same on every number of ranks and in any parts of a batch', () => {
    const expected = Array.from(
      { length: 10 },
      (
        (data) => () =>
          draw(data, 8).toSorted(ascending)
      )(open()),
    );
    for (const [count, nodes] of [
      [2, 1],
      [4, 2],
      [8, 2],
    ] as const) {
      const ranks = Array.from({ length: count }, (_, index) =>
        open({}, { rank: { index, count, nodes }, workersPerRank: 2 }),
      );
      const batches = expected.map(() => ranks.flatMap((data) => draw(data, 8)).toSorted(ascending));
      expect(batches).toEqual(expected);
    }
    const parts = open();
    expect(expected.map(() => [...draw(parts, 2), ...draw(parts, 6)].toSorted(ascending))).toEqual(expected);
  });

  it('resumes in the middle of an epoch from the keys of MosaicML, on another number of ranks', () => {
    const whole = open();
    for (let i = 0; i < 12; i++) draw(whole, 8);
    const state = JSON.parse(JSON.stringify(whole.state()));
    expect(state).toEqual({
      epoch: 1,
      sample_in_epoch: 32,
      num_canonical_nodes: 2,
      shuffle_seed: 9176,
      initial_physical_nodes: 1,
    });
    const expected = Array.from({ length: 9 }, () => draw(whole, 8).toSorted(ascending));
    const ranks = [0, 1].map((index) => open({ seed: 3, canonicalNodes: 1 }, { rank: { index, count: 2 } }));
    for (const each of ranks) each.restore(state);
    expect(expected.map(() => ranks.flatMap((data) => draw(data, 8)).toSorted(ascending))).toEqual(expected);
  });

  it('tells what comes next, over the end of the epoch too, and which shards that needs', () => {
    const data = open({ batching: 'stratified', shuffle: 'py2s', canonicalNodes: 2 });
    for (let i = 0; i < 5; i++) draw(data, 8);
    const before = data.state();
    const bases = { a: 100, b: 1000 } as Record<string, number>;
    const places = data.peek(40);
    const shards = data.peekShards(40);
    expect(data.state()).toEqual(before);
    expect(places.map(({ stream, index }) => bases[stream]! + index)).toEqual(
      Array.from({ length: 5 }, () => draw(data, 8)).flat(),
    );
    expect(shards).toContainEqual({ stream: 'b', shard: 2 });
    expect(new Set(shards.map(({ stream, shard }) => stream + shard)).size).toBe(shards.length);
  });

  it('begins the next epoch with another mix, and leaves streams of weight 0 out', () => {
    const data = open();
    data.setMix({ a: 1, b: 0 });
    expect(
      Array.from({ length: 8 }, () => draw(data, 8))
        .flat()
        .every((token) => token < 1000),
    ).toBe(true);
    draw(data, 8);
    data.setMix({ a: 2 });
    expect(data.state()).toMatchObject({ epoch: 1, sample_in_epoch: 32 });
    data.setMix({ a: 1, b: 1 });
    expect(data.state()).toMatchObject({ epoch: 2, sample_in_epoch: 0, mix: { a: 1, b: 1 } });
    const resumed = open();
    draw(data, 8);
    resumed.restore(data.state());
    expect(draw(resumed, 8).toSorted(ascending)).toEqual(draw(data, 8).toSorted(ascending));
  });

  it('makes each batch of one stream, or of the same share of each', () => {
    const perStream = open({
      batching: 'perStream',
      shares: { a: { proportion: 1 }, b: { proportion: 1 } },
      epochSize: 64,
    });
    for (let i = 0; i < 6; i++) expect(new Set(draw(perStream, 8).map((token) => token < 1000)).size).toBe(1);
    const stratified = open({ batching: 'stratified', shares: { a: { repeat: 1 }, b: { repeat: 2 } } });
    for (let i = 0; i < 6; i++) expect(draw(stratified, 8).filter((token) => token < 1000).length).toBe(3);
  });

  it('refuses what does not fit with coded errors', () => {
    const config = code('config_invalid');
    expect(() => open({ shares: { c: { repeat: 1 } } })).toThrow(/"c".*does not have/);
    expect(() => open({}, { batchSequences: 9, rank: { index: 0, count: 2 } })).toThrow(config);
    expect(() => open().nextBatch(9, T)).toThrow(config);
    expect(() => open({ batching: 'perStream' }, { batchSequences: 64 }).nextBatch(64, T)).toThrow(
      /no single batch/,
    );
    expect(() => open({}, { streams: { e: memoryReader([], 0) } })).toThrow(code('data_empty'));
    expect(() => open().nextBatch(8, T + 2)).toThrow(code('sequence_length_mismatch'));
    expect(() => open({}, { vocabSize: 100 }).nextBatch(8, T)).toThrow(code('token_out_of_range'));
    for (const mix of [{ a: 0 }, { c: 1 }, { a: -1, b: 1 }, { a: Number.NaN }] as Record<string, number>[]) {
      expect(() => open().setMix(mix), JSON.stringify(mix)).toThrow(config);
    }
    for (const wrong of [{ epoch: -1 }, { sample_in_epoch: '3' }, { num_canonical_nodes: 0 }]) {
      const state = { ...open().state(), ...wrong } as ReturnType<MosaicDataset['state']>;
      expect(() => open().restore(state), JSON.stringify(wrong)).toThrow(code('checkpoint_mismatch'));
    }
    const past = open();
    past.restore({ ...past.state(), sample_in_epoch: 64 });
    expect(() => past.nextBatch(8, T)).toThrow(/cannot be continued/);
  });
});

describe('data.stream', () => {
  it('is our own order by default, MosaicML’s by its shuffles or keys, and not both', () => {
    const parse = (config: object) => streamConfigSchema.safeParse(config);
    expect(parse({}).data).toMatchObject({ shuffle: 'block', packing: 'none' });
    expect(parse({ shuffle: 'py1e', packing: 'bestFit' }).error?.issues[0]?.message).toContain(
      'packing: none',
    );
    expect(isMosaicOrder(streamConfigSchema.parse({ shuffle: 'none' }))).toBe(false);
    expect(isMosaicOrder(streamConfigSchema.parse({ shuffle: 'none', partition: 'orig' }))).toBe(true);
    expect(isMosaicOrder(streamConfigSchema.parse({ shuffle: 'py1e' }))).toBe(true);
    expect(parse({ batching: 'stratified' }).error?.issues[0]?.message).toContain('py1e');
    expect(parse({ shuffle: 'py1b' }).success).toBe(false);
    expect(parse({ shares: { a: { proportion: 0 } }, shuffle: 'py1e' }).success).toBe(false);
  });
});
