/**
 * Which shards the nodes of a run use, and from which step to which: all that {@link simulate} needs of an order. For our
 * orders the turns are exact. For MosaicML's they follow from the places of the shards (their blocks of random size are
 * taken at their mean), so no order of single samples is made, and a billion samples take no longer than their shards.
 */
import { assert, lastAtMost, streamOf } from '../../base/index.ts';
import { readMdsIndex } from '../mds-index.ts';
import { NumpyRandom } from '../mosaic/pcg64.ts';
import { MOSAIC_SHUFFLES, type MosaicShuffle } from '../mosaic/shuffles.ts';
import { divideSpans, type Span, spansOf } from '../mosaic/spans.ts';
import { SampleOrder, type ShardUse } from '../order/sample-order.ts';

export const SIMULATED_SHUFFLES = ['block', 'full', 'none', ...MOSAIC_SHUFFLES] as const;

export interface SimulatedShard {
  readonly samples: number;
  /** what is fetched */
  readonly downloadBytes: number;
  /** what it takes in the cache */
  readonly cacheBytes: number;
}

export interface UsesOptions {
  readonly shards: readonly SimulatedShard[];
  readonly shuffle: (typeof SIMULATED_SHUFFLES)[number];
  readonly blockSize: number;
  readonly canonicalNodes: number;
  readonly seed: number;
  /** the name that our orders hang on, as in a data set */
  readonly stream?: string;
}

/** The uses of one lane, or canonical node, in an epoch, by their first turn. */
export type LaneUses = (lane: number, epoch: number) => readonly ShardUse[];

/** @throws config_invalid where there are more canonical nodes than samples */
export function laneUses(options: UsesOptions): LaneUses {
  const { shuffle, shards, canonicalNodes: lanes, blockSize, seed } = options;
  const shardSizes = shards.map((each) => each.samples);
  if (shuffle === 'block' || shuffle === 'full' || shuffle === 'none') {
    const order = new SampleOrder({
      shuffle,
      blockSize,
      lanes,
      shardSizes,
      key: { seed, stream: streamOf(options.stream ?? '') },
    });
    return (lane, epoch) => order.shardUses(lane, epoch).sort((a, b) => a.first - b.first);
  }
  const spans = spansOf(shardSizes);
  const shardOf = shardFinder(spans);
  const epochs = new Map<number, readonly (readonly ShardUse[])[]>();
  const make = (epoch: number) => mosaicUses(spans, { ...options, shuffle }, epoch, shardOf);
  return (lane, epoch) => {
    if (!epochs.has(epoch)) epochs.clear();
    const known = epochs.get(epoch) ?? make(epoch);
    epochs.set(epoch, known);
    return known[lane]!;
  };
}

function mosaicUses(
  shards: readonly Span[],
  { shuffle, canonicalNodes, blockSize, seed }: UsesOptions & { shuffle: MosaicShuffle },
  epoch: number,
  shardOf: (sample: number) => number,
): ShardUse[][] {
  const numSamples = shards.at(-1)?.end ?? 0;
  if (shuffle === 'naive') {
    const last = Math.ceil(numSamples / canonicalNodes) - 1;
    const all = shards.map((_, shard) => ({ shard, first: 0, last }));
    return Array.from({ length: canonicalNodes }, () => all);
  }
  const dealt = [...shards];
  new NumpyRandom(seed).shuffleList(dealt);
  const random = new NumpyRandom(seed + epoch);
  return divideSpans(dealt, canonicalNodes).map((spans) => {
    random.shuffleList(spans);
    const size = spans.reduce((sum, { begin, end }) => sum + end - begin, 0);
    let offset = 0;
    const uses = spans.map((span) => {
      const first = offset;
      offset += span.end - span.begin;
      return { shard: shardOf(span.begin), ...reach(shuffle, first, offset - 1, size, blockSize) };
    });
    return uses.sort((a, b) => a.first - b.first);
  });
}

/** How far the samples of a shard at places `first` to `last` are moved. */
function reach(shuffle: MosaicShuffle, first: number, last: number, size: number, blockSize: number) {
  if (shuffle === 'py1e') {
    const half = Math.max(0, (blockSize - (last - first + 1)) / 2);
    return { first: Math.max(0, Math.floor(first - half)), last: Math.min(size - 1, Math.ceil(last + half)) };
  }
  if (shuffle === 'py1br') {
    const start = Math.floor(first / blockSize) * blockSize;
    return { first: start, last: Math.min(size, (Math.floor(last / blockSize) + 1) * blockSize) - 1 };
  }
  return { first, last };
}

function shardFinder(spans: readonly Span[]): (sample: number) => number {
  const begins = Float64Array.from(spans, ({ begin }) => begin);
  return (sample) => {
    const shard = lastAtMost(begins, sample);
    assert(sample < spans[shard]!.end, `sample ${sample} in no shard`);
    return shard;
  };
}

/** The shards of an MDS data set by its index alone. @throws shard_index_invalid */
export function indexedShards(dir: string): SimulatedShard[] {
  return readMdsIndex(dir).map(({ samples, raw_data: raw, zip_data: zip }) => ({
    samples,
    downloadBytes: (zip ?? raw).bytes,
    cacheBytes: (zip ?? raw).bytes,
  }));
}
