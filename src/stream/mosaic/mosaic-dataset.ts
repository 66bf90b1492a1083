/**
 * Training batches in the very order of a MosaicML StreamingDataset: same samples in each batch for the same seed, streams,
 * canonical nodes, ranks and workers; its `state_dict` continues here, and ours there.
 *
 * Each epoch's order is made at its start, from the place where it is entered: nothing is replayed, but the shuffle of the
 * whole epoch is computed (docs/streaming.md: what that costs). The batch of all ranks has a fixed size; a call of
 * {@link MosaicDataset.nextBatch} takes a part of one. Places without a sample become sequences whose targets are ignored.
 */
import { DabarexError } from '../../base/index.ts';
import { type Batch, emptyBatch, fillSequence, readSequence } from '../batch.ts';
import { MdsReader } from '../mds-reader.ts';
import type { Mix, RankOf, SamplePlace, ShardPlace } from '../places.ts';
import type { SampleReader } from '../sample-reader.ts';
import { createEpoch, type Epoch, type EpochOptions, type EpochStream } from './epoch.ts';
import { type MosaicState, requireMosaicState } from './mosaic-state.ts';
import { isMosaicShuffle, type OrderConfig } from './order-config.ts';
import { NO_SAMPLE } from './partition.ts';
import { chooseSamples, type StreamShare } from './sampling.ts';

export interface MosaicDatasetOptions {
  /** domain -> folder of its token shards, or a reader of them, which is closed with the data set; their order counts */
  readonly streams: Readonly<Record<string, string | SampleReader>>;
  readonly config: OrderConfig;
  /** sequences of all ranks a step */
  readonly batchSequences: number;
  /** token that ends a document */
  readonly endOfText: number;
  /** ids of tokens are below it; default: not checked */
  readonly vocabSize?: number;
  /** default: the only one */
  readonly rank?: RankOf;
  /** data workers a rank of the run to be reproduced has; default 1 */
  readonly workersPerRank?: number;
}

interface Source {
  readonly name: string;
  readonly reader: SampleReader;
  readonly shardSizes: readonly number[];
  readonly offset: number;
}

export class MosaicDataset {
  private readonly options: MosaicDatasetOptions;
  private readonly sources: readonly Source[];
  private readonly rank: Required<RankOf>;
  private readonly epochs = new Map<string, Epoch>();
  private shares: Readonly<Record<string, StreamShare>>;
  private mix: Mix | undefined;
  private place = { epoch: 0, sampleInEpoch: 0, begun: 0 };
  private seed: number;
  private canonicalNodes: number;
  private initialNodes: number;

  /** @throws config_invalid for shares and numbers that do not fit; data_empty for a stream without samples; and as {@link MdsReader} */
  constructor(options: MosaicDatasetOptions) {
    const { config, batchSequences } = options;
    const { index, count, nodes = 1 } = options.rank ?? { index: 0, count: 1 };
    this.options = options;
    this.rank = { index, count, nodes };
    if (batchSequences % count !== 0) throw unevenBatch(batchSequences, count);
    this.sources = openSources(options.streams);
    this.shares = config.shares ?? {};
    this.seed = config.seed ?? 9176;
    this.initialNodes = nodes;
    const isShardwise = config.shuffle === 'py1s' || config.shuffle === 'py2s';
    this.canonicalNodes = config.canonicalNodes ?? (isShardwise ? 64 * nodes : nodes);
    this.epochStreams(this.shares);
  }

  /** Samples of each stream. */
  get numSamples(): Record<string, number> {
    return Object.fromEntries(this.sources.map(({ name, reader }) => [name, reader.numSamples]));
  }

  /**
   * Sets the streams' proportions; another mix than that before begins the next epoch, as a new data set would.
   * @throws as {@link checkMix}
   */
  setMix(mix: Mix): void {
    const shares = this.sharesOf(mix);
    if (this.mix && JSON.stringify(this.sharesOf(this.mix)) === JSON.stringify(shares)) return;
    const isBegun = this.place.sampleInEpoch > 0;
    this.mix = mix;
    this.shares = shares;
    this.epochs.clear();
    if (isBegun) this.place = { epoch: this.place.epoch + 1, sampleInEpoch: 0, begun: 0 };
  }

  /** @throws config_invalid for a mix that names no stream or has no weight; data_empty for a weighted stream without samples */
  checkMix(mix: Mix): void {
    this.sharesOf(mix);
  }

  /**
   * This rank's part of the next sequences, in memory of their own.
   * @param numSequences of all ranks; whole calls make up a batch
   * @throws config_invalid where they reach past a batch; sequence_length_mismatch; token_out_of_range; shard_truncated, shard_corrupt,
   * shard_missing. The position is then that before the call.
   */
  nextBatch(numSequences: number, sequenceLength: number): Batch {
    const { batchSequences, endOfText, vocabSize } = this.options;
    const place = this.settled();
    const within = (place.sampleInEpoch - place.begun) % batchSequences;
    if (within + numSequences > batchSequences) throw unevenBatch(batchSequences, numSequences);
    const places = this.placesFrom(place, numSequences);
    const batch = emptyBatch(places.length, sequenceLength);
    for (const [b, sample] of places.entries()) {
      if (sample === NO_SAMPLE) continue;
      const { source, index } = this.locate(sample);
      const tokens = readSequence(source.reader, index, sequenceLength, { vocabSize });
      fillSequence(batch, b, tokens, endOfText);
    }
    this.place = { ...place, sampleInEpoch: place.sampleInEpoch + numSequences };
    return batch;
  }

  /** What this rank's part of the next sequences will be, without moving; may make the next epoch's order. */
  peek(numSequences: number): SamplePlace[] {
    return this.placesFrom(this.settled(), numSequences)
      .filter((sample) => sample !== NO_SAMPLE)
      .map((sample) => {
        const { source, index } = this.locate(sample);
        return { stream: source.name, index };
      });
  }

  /** The shards of {@link peek}, in the order in which they are needed. */
  peekShards(numSequences: number): ShardPlace[] {
    const shards = new Map<string, ShardPlace>();
    const sources = new Map(this.sources.map((source) => [source.name, source]));
    for (const { stream, index } of this.peek(numSequences)) {
      let shard = 0;
      const { shardSizes } = sources.get(stream)!;
      for (let rest = index; rest >= shardSizes[shard]!; shard++) rest -= shardSizes[shard]!;
      shards.set(`${stream} ${shard}`, { stream, shard });
    }
    return [...shards.values()];
  }

  /** Where all ranks stand: MosaicML's `state_dict`, and the mix where one was set. */
  state(): MosaicState {
    const { epoch, sampleInEpoch } = this.settled();
    const mix = this.mix ? { mix: { ...this.mix } } : {};
    return {
      epoch,
      sample_in_epoch: sampleInEpoch,
      num_canonical_nodes: this.canonicalNodes,
      shuffle_seed: this.seed,
      initial_physical_nodes: this.initialNodes,
      ...mix,
    };
  }

  /** Continues where `state` was taken, on any number of ranks. @throws checkpoint_mismatch where it is no place in this data */
  restore(state: MosaicState): void {
    requireMosaicState(state);
    this.seed = state.shuffle_seed;
    this.canonicalNodes = state.num_canonical_nodes;
    this.initialNodes = state.initial_physical_nodes ?? this.rank.nodes;
    this.mix = state.mix;
    this.shares = state.mix ? this.sharesOf(state.mix) : (this.options.config.shares ?? {});
    this.epochs.clear();
    const { epoch, sample_in_epoch: sampleInEpoch } = state;
    this.place = { epoch, sampleInEpoch, begun: sampleInEpoch };
  }

  close(): void {
    for (const each of this.sources) each.reader.close();
  }

  /** The place, of the next epoch where this one is over. */
  private settled(): { epoch: number; sampleInEpoch: number; begun: number } {
    const { epoch, sampleInEpoch, begun } = this.place;
    const read = (sampleInEpoch - begun) / this.options.batchSequences;
    if (read === 0 && begun === 0) return this.place;
    if (read < this.epochAt(epoch, begun).numBatches) return this.place;
    return { epoch: epoch + 1, sampleInEpoch: 0, begun: 0 };
  }

  /** This rank's samples of the next sequences of all ranks. */
  private placesFrom(
    place: { epoch: number; sampleInEpoch: number; begun: number },
    numSequences: number,
  ): number[] {
    const { batchSequences } = this.options;
    const { index, count } = this.rank;
    if (numSequences % count !== 0) throw unevenBatch(numSequences, count);
    const perRank = batchSequences / count;
    const samples: number[] = [];
    let { epoch, begun } = place;
    let read = (place.sampleInEpoch - begun) / count;
    while (samples.length < numSequences / count) {
      const order = this.epochAt(epoch, begun);
      if (order.numBatches === 0) throw emptyEpoch(batchSequences);
      const batch = Math.floor(read / perRank);
      if (batch >= order.numBatches) {
        epoch++;
        begun = 0;
        read = 0;
        continue;
      }
      samples.push(order.sampleAt(batch, index * perRank + (read % perRank)));
      read++;
    }
    return samples;
  }

  private epochAt(epoch: number, begun: number): Epoch {
    const name = `${epoch} ${begun}`;
    const known = this.epochs.get(name);
    if (known) return known;
    // The present one and the next.
    if (this.epochs.size >= 2) this.epochs.delete(this.epochs.keys().next().value!);
    const made = createEpoch(this.epochOptions(), epoch, begun);
    this.epochs.set(name, made);
    return made;
  }

  private epochOptions(): EpochOptions {
    const { config, batchSequences, workersPerRank = 1 } = this.options;
    const { nodes, count } = this.rank;
    const { canonicalNodes, seed, initialNodes } = this;
    return {
      streams: this.epochStreams(this.shares),
      world: { nodes, ranksPerNode: count / nodes, workersPerRank },
      initialNodes,
      globalBatch: batchSequences,
      canonicalNodes,
      seed,
      shuffle: isMosaicShuffle(config.shuffle) ? config.shuffle : 'none',
      blockSize: config.blockSize ?? Math.max(Math.floor(4_000_000 / canonicalNodes), 2 ** 18),
      batching: config.batching ?? 'random',
      partition: config.partition ?? 'relaxed',
      sampling: config.sampling ?? 'balanced',
      samplingGranularity: config.samplingGranularity ?? 1,
    };
  }

  /** The streams that have a share. */
  private epochStreams(shares: Readonly<Record<string, StreamShare>>): EpochStream[] {
    const unknown = Object.keys(shares).find((name) => !this.sources.some((each) => each.name === name));
    if (unknown !== undefined) throw unknownStream(unknown, this.sources);
    // A mix leaves streams of weight 0 out; without one, a stream without a share is there whole.
    const used = this.sources.filter(({ name }) => !this.mix || shares[name]);
    const named = used.map(({ name, reader }) => ({ name, numSamples: reader.numSamples, ...shares[name] }));
    const chosen = chooseSamples(named, this.options.config.epochSize, this.seed);
    return used.map(({ name, shardSizes, offset }, i) => ({ name, shardSizes, offset, ...chosen[i]! }));
  }

  private sharesOf(mix: Mix): Record<string, StreamShare> {
    const unknown = Object.keys(mix).find((name) => !this.sources.some((each) => each.name === name));
    if (unknown !== undefined) throw unknownStream(unknown, this.sources);
    const entries = this.sources.map(({ name }) => [name, mix[name] ?? 0] as const);
    if (
      !entries.some(([, weight]) => weight > 0) ||
      entries.some(([, weight]) => !(weight >= 0 && weight < Infinity))
    ) {
      throw new DabarexError(
        'config_invalid',
        `The mix ${JSON.stringify(mix)} must have weights of at least 0, not all 0. Correct it.`,
      );
    }
    for (const { name, reader } of this.sources) {
      if (!(mix[name]! > 0) || reader.numSamples > 0) continue;
      throw new DabarexError('data_empty', `${reader.dir} holds no samples, but the mix draws from it.`, {
        name,
      });
    }
    const used = entries.filter(([, weight]) => weight > 0);
    const sum = used.reduce((all, [, weight]) => all + weight, 0);
    return Object.fromEntries(used.map(([name, weight]) => [name, { proportion: weight / sum }]));
  }

  private locate(sample: number): { source: Source; index: number } {
    let i = this.sources.length - 1;
    while (this.sources[i]!.offset > sample) i--;
    return { source: this.sources[i]!, index: sample - this.sources[i]!.offset };
  }
}

function openSources(streams: MosaicDatasetOptions['streams']): Source[] {
  let offset = 0;
  return Object.entries(streams).map(([name, source]) => {
    const reader = typeof source === 'string' ? new MdsReader(source) : source;
    const opened = { name, reader, shardSizes: reader.shardSizes ?? [reader.numSamples], offset };
    offset += reader.numSamples;
    return opened;
  });
}

function unknownStream(name: string, sources: readonly Source[]): DabarexError {
  const names = sources.map((each) => each.name).join(', ');
  return new DabarexError(
    'config_invalid',
    `There is a share of the stream "${name}", which the data does not have (it has ${names}). Correct its name.`,
    { name },
  );
}

function unevenBatch(sequences: number, parts: number): DabarexError {
  return new DabarexError(
    'config_invalid',
    `A batch of ${sequences} sequences of all ranks cannot be shared in parts of ${parts}. Choose numbers that divide.`,
    { sequences, parts },
  );
}

function emptyEpoch(batchSequences: number): DabarexError {
  return new DabarexError(
    'config_invalid',
    `The data gives no single batch of ${batchSequences} sequences. Make the batch smaller or choose batching: random.`,
    { batchSequences },
  );
}
