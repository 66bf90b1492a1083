import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Batching, createEpoch, type EpochOptions } from './epoch.ts';
import { NumpyRandom } from './pcg64.ts';
import { chooseSamples, type StreamShare } from './sampling.ts';

/** Made with numpy 2.4.6 by the steps of MosaicML Streaming's batching methods; `digest` is of the batches in order. */
interface Case {
  readonly batching: Batching;
  readonly streams: readonly (StreamShare & { sizes: number[] })[];
  readonly epochSize?: number;
  readonly canonicalNodes: number;
  readonly world: readonly [number, number, number];
  readonly batchSize: number;
  readonly seed: number;
  readonly epoch: number;
  readonly granularity: number;
  readonly drop: number;
  readonly batches: number;
  readonly digest: string;
}

const cases = JSON.parse(readFileSync(new URL('epoch-cases.json', import.meta.url), 'utf8')) as Case[];
const code = (expected: string) => expect.objectContaining({ code: expected });
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

function optionsOf(given: Case): EpochOptions {
  const named = given.streams.map(({ sizes, ...share }, i) => ({
    name: `s${i}`,
    numSamples: sum(sizes),
    ...share,
  }));
  const chosen = chooseSamples(named, given.epochSize, given.seed);
  const [nodes, ranksPerNode, workersPerRank] = given.world;
  return {
    streams: given.streams.map(({ sizes }, i) => {
      const offset = sum(named.slice(0, i).map((each) => each.numSamples));
      return { name: `s${i}`, shardSizes: sizes, offset, ...chosen[i]! };
    }),
    world: { nodes, ranksPerNode, workersPerRank },
    initialNodes: nodes,
    globalBatch: given.batchSize * nodes * ranksPerNode,
    canonicalNodes: given.canonicalNodes,
    shuffle: 'py1s',
    blockSize: 1000,
    seed: given.seed,
    batching: given.batching,
    partition: 'relaxed',
    sampling: 'balanced',
    samplingGranularity: given.granularity,
  };
}

function batchesOf(options: EpochOptions, epoch: number, drop = 0): number[][] {
  const { numBatches, sampleAt } = createEpoch(options, epoch, drop);
  const places = Array.from({ length: options.globalBatch }, (_, within) => within);
  return Array.from({ length: numBatches }, (_, batch) => places.map((within) => sampleAt(batch, within)));
}

describe('createEpoch', () => {
  it.each(cases.map((each, i) => [each.batching, i, each] as const))(
    'makes the batches of MosaicML: %s %i',
    (_, __, given) => {
      const batches = batchesOf(optionsOf(given), given.epoch, given.drop).filter((batch) =>
        batch.some((id) => id >= 0),
      );
      expect(batches.length).toBe(given.batches);
      const digest = createHash('sha256').update(JSON.stringify(batches)).digest('hex');
      expect(digest.slice(0, 16)).toBe(given.digest);
    },
  );

  const base: EpochOptions = {
    ...optionsOf(cases[0]!),
    streams: [{ name: 'a', shardSizes: [40, 30, 26], offset: 0, choose: 96, proportion: 1 }],
    world: { nodes: 1, ranksPerNode: 1, workersPerRank: 1 },
    globalBatch: 8,
    canonicalNodes: 4,
    batching: 'random',
  };

  it.each(['py1e', 'py1br', 'py1s', 'py2s', 'naive', 'none'] as const)(
    'has the same samples in every batch for any nodes, ranks and workers: %s',
    (shuffle) => {
      const sorted = (options: Partial<EpochOptions>) =>
        batchesOf({ ...base, shuffle, ...options }, 1).map((batch) => batch.toSorted((a, b) => a - b));
      const expected = sorted({});
      expect(expected.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 96 }, (_, i) => i));
      for (const [nodes, ranksPerNode, workersPerRank] of [
        [1, 2, 3],
        [1, 8, 1],
        [2, 2, 2],
        [4, 1, 5],
        [8, 1, 1],
      ] as const) {
        expect(sorted({ world: { nodes, ranksPerNode, workersPerRank }, initialNodes: nodes })).toEqual(
          expected,
        );
      }
    },
  );

  it('goes on in the middle, on other nodes, with the batches that are left', () => {
    const whole = batchesOf(base, 0).map((batch) => batch.toSorted((a, b) => a - b));
    for (const nodes of [1, 2, 8]) {
      const world = { nodes, ranksPerNode: 1, workersPerRank: 2 };
      const rest = batchesOf({ ...base, world, initialNodes: 1 }, 0, 40);
      expect(rest.map((batch) => batch.toSorted((a, b) => a - b))).toEqual(whole.slice(5));
    }
  });

  it('refuses numbers that do not fit', () => {
    const on =
      (options: Partial<EpochOptions>, drop = 0) =>
      () =>
        createEpoch({ ...base, ...options }, 0, drop);
    const three = { nodes: 3, ranksPerNode: 1, workersPerRank: 1 };
    expect(on({ world: three, partition: 'orig', globalBatch: 9 })).toThrow(/4 canonical nodes and 3 nodes/);
    expect(on({ world: three, initialNodes: 4, globalBatch: 9 })).toThrow(code('config_invalid'));
    expect(on({ batching: 'devicePerStream', world: { ...three, nodes: 8 } })).toThrow(
      /multiple of the nodes/,
    );
    expect(on({}, 96)).toThrow(/cannot be continued after 96/);
    expect(on({ shuffle: 'py1e', canonicalNodes: 128 })).toThrow(/without any/);
    expect(on({ shuffle: 'py1br', blockSize: 1 })).toThrow(/too small to shuffle/);
    const rare = [
      { ...base.streams[0]!, proportion: 0.99 },
      { name: 'b', shardSizes: [10], offset: 96, choose: 10, proportion: 0.01 },
    ];
    expect(on({ streams: rare, batching: 'stratified' })).toThrow(/"b" gives too few/);
  });
});

describe('chooseSamples', () => {
  it('refuses shares that contradict one another', () => {
    const share = (name: string, rest: StreamShare = {}, numSamples = 10) => ({ name, numSamples, ...rest });
    const on = (shares: ReturnType<typeof share>[], epochSize?: number) => () =>
      chooseSamples(shares, epochSize, 1);
    const config = code('config_invalid');
    expect(on([share('a', { proportion: 1, repeat: 2 })])).toThrow(config);
    expect(on([share('a', { proportion: 1 }), share('b', { repeat: 2 })])).toThrow(/"?by proportion/i);
    expect(on([share('a', { proportion: 1 }), share('b')])).toThrow(config);
    expect(on([share('a', { proportion: 0 }), share('b', { proportion: 1 })])).toThrow(/must be more than 0/);
    expect(on([share('a', { choose: Number.NaN })])).toThrow(config);
    expect(on([share('a', { repeat: 2 })], 100)).toThrow(/how long an epoch is/);
    expect(on([share('a', {}, 0)])).toThrow(code('data_empty'));
  });

  it('takes proportions as relative to one another', () => {
    const named = [1, 3].map((proportion, i) => ({ name: `s${i}`, numSamples: 10, proportion }));
    expect(chooseSamples(named, 8, 1)).toEqual([
      { choose: 2, proportion: 0.25 },
      { choose: 6, proportion: 0.75 },
    ]);
  });
});

describe('NumpyRandom', () => {
  it('keeps half a draw over uniform numbers, and chooses many of many, as numpy 2.4.6', () => {
    const random = new NumpyRandom(5);
    expect([...random.choice(20_000, 1000).subarray(0, 5)]).toEqual([10974, 12442, 12953, 16040, 7964]);
    expect(random.integers(0, 1000)).toBe(89);
    expect(random.uniform(-2, 3)).toBe(1.556728545941923);
    expect(random.integers(10, 17)).toBe(11);
    expect(random.uniform(0, 1)).toBe(0.7088289000451671);
    expect([...random.permutation(6)]).toEqual([5, 3, 4, 1, 2, 0]);
    const wide = new NumpyRandom(11);
    expect(Array.from({ length: 4 }, () => wide.integers(0, 3_000_000_000))).toEqual([
      1497833586, 1770098534, 1804495072, 86067024,
    ]);
    expect(wide.integers(4, 5)).toBe(4);
    expect([...wide.permutation(3)]).toEqual([0, 2, 1]);
  });
});
