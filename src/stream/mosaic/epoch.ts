/**
 * One epoch as MosaicML Streaming makes it: which sample stands at each place of each batch of all ranks together. Four
 * ways of making batches of several streams:
 *
 *   random           streams shuffled together
 *   stratified       each batch has the same share of each stream; the epoch ends with the scarcest
 *   perStream        each batch is of one stream
 *   devicePerStream  each rank's part of a batch is of one stream
 *
 * Incomplete batches of the last three are dropped. The order of the whole epoch is in memory: 4 bytes a sample.
 */
import { DabarexError } from '../../base/index.ts';
import {
  createPartition,
  NO_SAMPLE,
  type Partition,
  type PartitionAlgorithm,
  type World,
} from './partition.ts';
import { NumpyRandom } from './pcg64.ts';
import { type Chosen, type Resampled, resample, samplesPerShard } from './sampling.ts';
import { type MosaicShuffle, mosaicShuffle } from './shuffles.ts';

export type Batching = 'random' | 'stratified' | 'perStream' | 'devicePerStream';

export interface EpochStream extends Chosen {
  readonly name: string;
  readonly shardSizes: readonly number[];
  /** number of its first sample among those of all streams */
  readonly offset: number;
}

export interface EpochOptions {
  readonly streams: readonly EpochStream[];
  readonly world: World;
  readonly initialNodes: number;
  /** sequences of all ranks */
  readonly globalBatch: number;
  readonly canonicalNodes: number;
  readonly shuffle: MosaicShuffle | 'none';
  readonly blockSize: number;
  readonly seed: number;
  readonly batching: Batching;
  readonly partition: PartitionAlgorithm;
  readonly sampling: 'balanced' | 'fixed';
  readonly samplingGranularity: number;
}

/** What is left of an epoch after the places already read. */
export interface Epoch {
  readonly numBatches: number;
  /** a number among those of all streams, or NO_SAMPLE; within a batch ranks stand one after another */
  sampleAt(batch: number, within: number): number;
}

/** @throws config_invalid where the options do not fit one another or the data */
export function createEpoch(options: EpochOptions, epoch: number, sampleInEpoch: number): Epoch {
  if (options.batching === 'random') return randomEpoch(options, epoch, sampleInEpoch);
  const make = { stratified, perStream, devicePerStream }[options.batching];
  const whole = make(options, epoch);
  const read = Math.floor(sampleInEpoch / options.globalBatch);
  return {
    numBatches: Math.max(0, whole.numBatches - read),
    sampleAt: (batch, within) => whole.sampleAt(batch + read, within),
  };
}

function randomEpoch(options: EpochOptions, epoch: number, sampleInEpoch: number): Epoch {
  const sampled = resampled(options, options.streams, epoch);
  const place = shuffledPlaces(options, sampled, epoch, options.blockSize);
  const partition = partitionOf(
    options,
    sampled.numSamples,
    options.world,
    batchSizeOf(options),
    sampleInEpoch,
  );
  return {
    numBatches: Math.ceil(partition.samplesPerRank / batchSizeOf(options)),
    sampleAt: (batch, within) => lookUp(partition, batch * options.globalBatch + within, place),
  };
}

function stratified(options: EpochOptions, epoch: number): Epoch {
  const { streams, world, globalBatch } = options;
  const portions = batchPortions(streams, globalBatch);
  const one = { ...world, nodes: 1 };
  const parts = streams.map((stream) => streamPart(options, stream, epoch, one, 1));
  const counts = parts.map(({ partition }, i) =>
    Math.floor((partition.samplesPerRank * world.ranksPerNode) / portions[i]!),
  );
  const streamOfPlace = Uint32Array.from(
    portions.flatMap((portion, i) => new Array<number>(portion).fill(i)),
  );
  const starts = portions.map((_, i) => portions.slice(0, i).reduce((sum, each) => sum + each, 0));
  return {
    numBatches: Math.min(...counts),
    sampleAt(batch, within) {
      const i = streamOfPlace[within]!;
      const { partition, place } = parts[i]!;
      return lookUp(partition, batch * portions[i]! + within - starts[i]!, place);
    },
  };
}

function perStream(options: EpochOptions, epoch: number): Epoch {
  const { streams, world, globalBatch } = options;
  const batchSize = batchSizeOf(options);
  const parts = streams.map((stream) => streamPart(options, stream, epoch, world, batchSize));
  const counts = parts.map(({ partition }) => Math.floor(partition.samplesPerRank / batchSize));
  const turns = shuffledTurns(counts, new NumpyRandom(seedOf(options, epoch)));
  return {
    numBatches: turns.stream.length,
    sampleAt(batch, within) {
      const { partition, place } = parts[turns.stream[batch]!]!;
      return lookUp(partition, turns.ordinal[batch]! * globalBatch + within, place);
    },
  };
}

function devicePerStream(options: EpochOptions, epoch: number): Epoch {
  const { streams, world, canonicalNodes } = options;
  const { nodes, ranksPerNode } = world;
  const batchSize = batchSizeOf(options);
  if (canonicalNodes % nodes !== 0) {
    throw new DabarexError(
      'config_invalid',
      `Batching devicePerStream needs canonical nodes that are a multiple of the nodes, not ${canonicalNodes} for ${nodes}. ` +
        'Choose a multiple, or another batching.',
      { canonicalNodes, nodes },
    );
  }
  const canonical = { ...world, nodes: canonicalNodes };
  const parts = streams.map((stream) => streamPart(options, stream, epoch, canonical, 1));
  const perNode = canonicalNodes / nodes;
  const counts = parts.map(({ partition }, i) => {
    const count = Math.floor((partition.samplesPerRank * ranksPerNode * perNode) / batchSize);
    if (count === 0) throw tooScarce(streams[i]!.name, batchSize);
    return count;
  });
  const random = new NumpyRandom(seedOf(options, epoch));
  const turns = Array.from({ length: nodes }, () => shuffledTurns(counts, random));
  const rows = turns[0]!.stream.length;
  const devices = nodes * ranksPerNode;
  return {
    numBatches: Math.ceil((rows * nodes) / devices),
    sampleAt(batch, within) {
      const device = batch * devices + Math.floor(within / batchSize);
      const node = device % nodes;
      const row = Math.floor(device / nodes);
      if (row >= rows) return NO_SAMPLE;
      const { partition, place } = parts[turns[node]!.stream[row]!]!;
      const u = turns[node]!.ordinal[row]! * batchSize + (within % batchSize);
      // Of this node's canonical nodes, in the order of reading.
      const rank = u % ranksPerNode;
      const lane = Math.floor(u / ranksPerNode) % perNode;
      const turn = Math.floor(u / (ranksPerNode * perNode));
      return lookUp(partition, (turn * canonicalNodes + node * perNode + lane) * ranksPerNode + rank, place);
    },
  };
}

/** Which stream's turn each batch is, in random order, and which of that stream's batches. */
function shuffledTurns(counts: readonly number[], random: NumpyRandom) {
  const stream = Uint32Array.from(counts.flatMap((count, i) => new Array<number>(count).fill(i)));
  random.shuffle(stream);
  const used = counts.map(() => 0);
  return { stream, ordinal: stream.map((i) => used[i]!++) };
}

/** Sequences of each stream in a batch: rounded down, then one more for those that lost most. @throws config_invalid for none */
function batchPortions(streams: readonly EpochStream[], globalBatch: number): number[] {
  const exact = streams.map(({ proportion }) => globalBatch * proportion);
  const portions = exact.map(Math.floor);
  const missing = globalBatch - portions.reduce((sum, each) => sum + each, 0);
  const byLoss = exact
    .map((each, i) => ({ i, lost: each - portions[i]! }))
    .sort((a, b) => b.lost - a.lost || b.i - a.i);
  for (const { i } of byLoss.slice(0, missing)) portions[i]!++;
  const none = portions.indexOf(0);
  if (none >= 0) throw tooScarce(streams[none]!.name, globalBatch);
  return portions;
}

function streamPart(
  options: EpochOptions,
  stream: EpochStream,
  epoch: number,
  world: World,
  batchSize: number,
) {
  const sampled = resampled(options, [stream], epoch);
  const blockSize = Math.floor(options.blockSize * stream.proportion);
  const place = shuffledPlaces(options, sampled, epoch, blockSize);
  return { partition: partitionOf(options, sampled.numSamples, world, batchSize, 0), place };
}

function partitionOf(
  { canonicalNodes, initialNodes, partition }: EpochOptions,
  numSamples: number,
  world: World,
  batchSize: number,
  dropFirst: number,
): Partition {
  const sizes = { numSamples, canonicalNodes, initialNodes, batchSize, dropFirst };
  return createPartition(partition, { ...world, ...sizes });
}

function resampled(options: EpochOptions, streams: readonly EpochStream[], epoch: number): Resampled {
  const seed = seedOf(options, epoch);
  const choices = streams.map(({ shardSizes, choose, offset }) => {
    const chosen = samplesPerShard(shardSizes, choose, options.samplingGranularity, seed);
    return { sizes: shardSizes, chosen, offset };
  });
  return resample(choices, new NumpyRandom(seed));
}

/** The sample of all streams at each place of the epoch. */
function shuffledPlaces(
  { shuffle, canonicalNodes, seed }: EpochOptions,
  sampled: Resampled,
  epoch: number,
  blockSize: number,
): (place: number) => number {
  if (shuffle === 'none') return (place) => sampled.sampleAt(place);
  const order = mosaicShuffle(shuffle, { sizes: sampled.units, canonicalNodes, seed, epoch, blockSize });
  return (place) => sampled.sampleAt(order[place]!);
}

function lookUp(partition: Partition, t: number, place: (at: number) => number): number {
  const at = partition.inOrder(t);
  return at === NO_SAMPLE ? NO_SAMPLE : place(at);
}

function batchSizeOf({ globalBatch, world }: EpochOptions): number {
  return globalBatch / (world.nodes * world.ranksPerNode);
}

/** Without a shuffle, and with fixed sampling, every epoch draws alike. */
function seedOf({ shuffle, sampling, seed }: EpochOptions, epoch: number): number {
  return shuffle !== 'none' && sampling === 'balanced' ? seed + epoch : seed;
}

function tooScarce(name: string, batchSize: number): DabarexError {
  return new DabarexError(
    'config_invalid',
    `The stream "${name}" gives too few samples to have one in every batch of ${batchSize}. Raise its share, enlarge the ` +
      'batch, or choose batching: random.',
    { name, batchSize },
  );
}
