import { describe, expect, it } from 'vitest';
import type { SampleReader } from '../sample-reader.ts';
import { StreamingDataset } from '../streaming-dataset.ts';
import { type SimulateOptions, simulate } from './simulate.ts';

const MB = 1e6;
const shardsOf = (sizes: readonly number[], bytes = MB) =>
  sizes.map((samples) => ({ samples, downloadBytes: bytes, cacheBytes: bytes }));
const run = (options: Partial<SimulateOptions> = {}) =>
  simulate({
    shards: shardsOf(new Array(40).fill(100)),
    shuffle: 'none',
    blockSize: 500,
    canonicalNodes: 1,
    seed: 1,
    nodes: 1,
    globalBatch: 10,
    numSteps: 400,
    stepSeconds: 1,
    bytesPerSecond: MB,
    latencySeconds: 0,
    predownloadSteps: 8,
    ...options,
  });

/** A reader that fetches a shard when it is read, and keeps those used last within a limit. */
function cachedReader(sizes: readonly number[], limitShards: number) {
  const shardOf = sizes.flatMap((size, shard) => new Array<number>(size).fill(shard));
  const here = new Set<number>();
  const count = { downloads: 0 };
  const read = (index: number) => {
    const shard = shardOf[index]!;
    if (!here.delete(shard)) count.downloads++;
    here.add(shard);
    for (const oldest of here) if (here.size > limitShards) here.delete(oldest);
    return { tokens: Int32Array.of(index, 1) };
  };
  const reader: SampleReader = {
    dir: 'memory',
    numSamples: shardOf.length,
    shardSizes: sizes,
    read,
    close: () => undefined,
  };
  return { reader, count };
}

describe('simulate', () => {
  it.each([
    ['no limit', undefined, 3],
    ['a limit of 12 shards', 12, 3],
    ['a limit of 25 shards', 25, 4],
  ] as const)('counts the downloads that the data set makes of its reader: %s', (_, limit, epochs) => {
    const sizes = Array.from({ length: 40 }, (_, i) => 60 + ((i * 37) % 50));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const numSteps = Math.ceil((total * epochs) / 8);
    const { reader, count } = cachedReader(sizes, limit ?? sizes.length);
    const data = new StreamingDataset({ streams: { a: reader }, seed: 7, endOfText: -1, blockSize: 300 });
    for (let step = 0; step < numSteps; step++) data.nextBatch(8, 1);
    const options = { shards: shardsOf(sizes), shuffle: 'block' as const, blockSize: 300, numSteps };
    const cacheLimitBytes = limit && limit * MB;
    const found = run({ ...options, globalBatch: 8, seed: 7, stream: 'a', cacheLimitBytes });
    expect(found.cacheTooSmall).toBe(false);
    expect(found.numDownloads).toBe(count.downloads);
    expect(found.maxCacheBytes).toBe((limit ?? sizes.length) * MB);
  });

  it('knows when each step can begin', () => {
    // A shard lasts ten steps and takes one second: it is always there in time.
    expect(run()).toMatchObject({
      timeToFirstBatchSeconds: 1,
      totalSeconds: 401,
      stallSeconds: 0,
      numDownloads: 40,
    });
    // It takes 20 seconds, asked for eight steps ahead: every ten steps the run waits for another ten or so.
    const slow = run({ bytesPerSecond: MB / 20 });
    expect(slow.timeToFirstBatchSeconds).toBe(20);
    expect(slow.stallSeconds).toBe(39 * 12);
    // Asked for one step ahead, each shard that takes five is waited for.
    expect(run({ bytesPerSecond: MB / 5, predownloadSteps: 1 }).stallSeconds).toBeCloseTo(39 * 4, 6);
    expect(run({ latencySeconds: 2, predownloadSteps: 0 }).stallSeconds).toBeCloseTo(39 * 3, 6);
  });

  it('waits for room in the cache, and tells when it is too small', () => {
    const one = run({ cacheLimitBytes: MB });
    expect(one).toMatchObject({
      cacheTooSmall: false,
      stallSeconds: 39,
      peakNeededBytes: MB,
      maxCacheBytes: MB,
    });
    const block = run({ shuffle: 'block', cacheLimitBytes: 4 * MB });
    expect(block.cacheTooSmall).toBe(true);
    expect(block.peakNeededBytes).toBeGreaterThan(4 * MB);
    const { peakNeededBytes } = block;
    expect(run({ shuffle: 'block', cacheLimitBytes: peakNeededBytes }).cacheTooSmall).toBe(false);
  });

  it('shares the shards among nodes by canonical nodes', () => {
    const many = { nodes: 4, globalBatch: 40, numSteps: 100, shuffle: 'block' as const };
    const apart = run({ ...many, canonicalNodes: 8 });
    expect(apart.numDownloads).toBe(40);
    expect(apart.maxNodeDownloads).toBe(10);
    expect(run({ ...many, canonicalNodes: 1 }).numDownloads).toBe(160);
  });

  it.each(['py1e', 'py1br', 'py1s', 'py2s', 'naive', 'full'] as const)(
    'fetches each shard of an epoch once: %s',
    (shuffle) => {
      const found = run({ shuffle, blockSize: 400 });
      expect(found.numDownloads).toBe(40);
      const { shardSpread, shardsInUse } = found.quality;
      const isWide = shuffle === 'naive' || shuffle === 'full';
      if (isWide) expect(shardSpread).toBeGreaterThan(0.9);
      else expect(shardSpread).toBeLessThan(0.2);
      expect(shardsInUse).toBeCloseTo(shardSpread * 40, 6);
      const { timeline, totalSeconds, downloadBytes } = found;
      expect(timeline.at(-1)).toMatchObject({ endStep: 400, endSeconds: totalSeconds });
      expect(timeline.reduce((sum, each) => sum + each.downloadBytes, 0)).toBe(downloadBytes);
    },
  );

  it('follows 384 nodes over three billion samples', () => {
    const shards = shardsOf(new Array(300).fill(10_000_000));
    const found = run({
      shards,
      shuffle: 'block',
      nodes: 384,
      canonicalNodes: 128,
      globalBatch: 24_576,
      numSteps: 122_070,
      blockSize: 2 ** 22,
    });
    // Three nodes share each canonical node; shards cut between two of these are fetched for both.
    expect(found.numDownloads).toBeGreaterThanOrEqual(3 * 300);
    expect(found.numDownloads).toBeLessThanOrEqual(3 * (300 + 127));
  });
});
