/**
 * Endless training batches from several token data sets, one per domain, mixed by weights that may change before every
 * batch. Which sample comes next is a pure function of (seed, mixes and draws so far): each stream goes through its samples
 * in a new random order every epoch (order/sample-order.ts), and the streams take turns by their shares (mixture.ts). So the
 * order does not hang on the size of batches or the number of ranks, and a state of a few numbers resumes in the middle of an
 * epoch, without replay.
 *
 * Canonical nodes: sequence k of a run belongs to lane k mod canonicalNodes of its stream, and to node k mod nodes. So a node
 * needs the shards of its lanes only; the streams take turns by rows of one sequence a lane.
 * Limits: reads synchronously, from the page cache; MosaicML's orders are in mosaic/.
 */
import { assert, DabarexError, streamOf } from '../base/index.ts';
import { type Batch, emptyBatch, fillSequence, readSequence, readTokens, type TokenRange } from './batch.ts';
import { MdsReader } from './mds-reader.ts';
import { Mixture } from './mixture.ts';
import { type NativeShuffle, SampleOrder } from './order/sample-order.ts';
import type { Mix, RankOf, SamplePlace, ShardPlace } from './places.ts';
import type { SampleReader } from './sample-reader.ts';
import { requireSameData, type StreamingState } from './streaming-state.ts';

export interface StreamingDatasetOptions {
  /** domain -> folder of its token shards, or a reader of them, which is closed with the data set */
  readonly streams: Readonly<Record<string, string | SampleReader>>;
  readonly seed: number;
  /** token that ends a document */
  readonly endOfText: number;
  /** ids of tokens are below it; default: not checked */
  readonly vocabSize?: number;
  /** which of the processes that train together this is; default: the only one */
  readonly rank?: RankOf;
  /** default `block`: see {@link SampleOrder} */
  readonly shuffle?: NativeShuffle;
  /** samples shuffled among themselves by `block`; default 262,144 */
  readonly blockSize?: number;
  /** parts of the data that nodes can read without needing the shards of another part; default 1 */
  readonly canonicalNodes?: number;
}

export const DEFAULT_BLOCK_SIZE = 2 ** 18;

interface Stream {
  readonly name: string;
  readonly reader: SampleReader;
  readonly order: SampleOrder;
}

interface Drawn {
  readonly stream: Stream;
  readonly index: number;
}

export class StreamingDataset {
  private readonly streams: readonly Stream[];
  private readonly seed: number;
  private readonly endOfText: number;
  private readonly tokenRange: TokenRange;
  private readonly rank: Required<RankOf>;
  private readonly canonicalNodes: number;
  private readonly mixture: Mixture;
  private drawn: number[];

  /**
   * Starts with the streams mixed by their sizes. Close it to give the file handles back.
   * @throws config_invalid where a stream has fewer samples than there are canonical nodes; and as {@link MdsReader}
   */
  constructor(options: StreamingDatasetOptions) {
    const { streams, seed, endOfText, canonicalNodes = 1 } = options;
    const { index, count, nodes = 1 } = options.rank ?? { index: 0, count: 1 };
    assert(index >= 0 && index < count && count % nodes === 0, `rank ${index} of ${count} on ${nodes} nodes`);
    this.seed = seed;
    this.endOfText = endOfText;
    this.tokenRange = { vocabSize: options.vocabSize };
    this.rank = { index, count, nodes };
    this.canonicalNodes = canonicalNodes;
    this.streams = Object.entries(streams)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, source]) => openStream(name, source, options));
    const sizes = this.streams.map(({ reader }) => reader.numSamples);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    this.mixture = new Mixture(sizes.map((size) => (total > 0 ? size / total : 0)));
    this.drawn = sizes.map(() => 0);
  }

  /** Samples of each stream; an epoch of a stream is this many draws. */
  get numSamples(): Record<string, number> {
    return Object.fromEntries(this.streams.map((each) => [each.name, each.reader.numSamples]));
  }

  /** Draws of each stream so far, of all mixes and ranks. */
  get drawnSamples(): Record<string, number> {
    return Object.fromEntries(this.streams.map((each, i) => [each.name, this.drawn[i]!]));
  }

  /**
   * Changes the mix for what follows; may be called before every batch. What a stream was owed under the mixes before is
   * carried over, so over time each is drawn as often as the sum of its shares says.
   * @throws as {@link checkMix}
   */
  setMix(mix: Mix): void {
    this.mixture.setWeights(this.normalised(mix));
  }

  /** @throws config_invalid for a mix that names no stream or sums to 0; data_empty for a weighted stream without samples */
  checkMix(mix: Mix): void {
    this.normalised(mix);
  }

  /**
   * The next sequences of the run, in memory of their own.
   * @param numSequences of all ranks together; this rank gets its part of them
   * @throws sequence_length_mismatch where samples hold neither sequenceLength + 1 tokens nor
   * sequenceLength; token_out_of_range; config_invalid where the ranks
   * cannot share them evenly; data_empty; shard_truncated, shard_corrupt, shard_missing. The position is then that before
   * the call.
   */
  nextBatch(numSequences: number, sequenceLength: number): Batch {
    return this.advance(numSequences, (own) => {
      const batch = emptyBatch(own.length, sequenceLength);
      for (const [b, { stream, index }] of own.entries()) {
        const tokens = readSequence(stream.reader, index, sequenceLength, this.tokenRange);
        fillSequence(batch, b, tokens, this.endOfText);
      }
      return batch;
    });
  }

  /**
   * The tokens of the next samples, of whatever lengths.
   * @param numSamples of all ranks together; this rank gets its part of them
   * @throws as {@link nextBatch}
   */
  nextTokens(numSamples: number): Int32Array[] {
    const read = ({ stream, index }: Drawn) => readTokens(stream.reader, index, this.tokenRange);
    return this.advance(numSamples, (own) => own.map(read));
  }

  /**
   * What this rank's part of the next sequences under the present mix will be, without moving.
   * @param numSequences of all ranks together
   */
  peek(numSequences: number): SamplePlace[] {
    return this.draw(numSequences, this.mixture.clone(), [...this.drawn]).map(({ stream, index }) => ({
      stream: stream.name,
      index,
    }));
  }

  /**
   * The shards this rank needs for the next sequences under the present mix, each stream's in the order of its blocks: what
   * to fetch ahead. Cheap for any number of sequences.
   * @param numSequences of all ranks together
   */
  peekShards(numSequences: number): ShardPlace[] {
    const drawn = [...this.drawn];
    this.takeTurns(numSequences, this.mixture.clone(), drawn, () => undefined);
    return this.streams.flatMap(({ name, order }, i) =>
      order
        .shardsBetween(this.drawn[i]!, drawn[i]!, (lane) => this.isOwnLane(lane))
        .map((shard) => ({ stream: name, shard })),
    );
  }

  /** Where all ranks stand; {@link restore} of it gives the same batches from here on, on any number of ranks. */
  state(): StreamingState {
    const places = this.mixture.state();
    const streams = this.streams.map(({ name, reader }, i) => [
      name,
      {
        numSamples: reader.numSamples,
        drawn: this.drawn[i]!,
        weight: this.mixture.currentWeights[i]!,
        ...places[i]!,
      },
    ]);
    return { seed: this.seed, canonicalNodes: this.canonicalNodes, streams: Object.fromEntries(streams) };
  }

  /** Continues where `state` was taken. @throws checkpoint_mismatch where it is of other data or another seed, or no place in it */
  restore(state: StreamingState): void {
    requireSameData(state, this.state());
    const own = this.streams.map(({ name }) => state.streams[name]!);
    this.mixture.restore(
      own.map(({ weight }) => weight),
      own.map(({ carried, drawnInMix }) => ({ carried, drawnInMix })),
    );
    this.drawn = own.map(({ drawn }) => drawn);
  }

  close(): void {
    for (const each of this.streams) each.reader.close();
  }

  /** Draws, and moves there once `use` has done with what was drawn. */
  private advance<T>(numSequences: number, use: (own: readonly Drawn[]) => T): T {
    const mixture = this.mixture.clone();
    const drawn = [...this.drawn];
    const result = use(this.draw(numSequences, mixture, drawn));
    this.mixture.restore(mixture.currentWeights, mixture.state());
    this.drawn = drawn;
    return result;
  }

  /** Moves `mixture` and `drawn` by so many draws. @returns those of this rank */
  private draw(numSequences: number, mixture: Mixture, drawn: number[]) {
    const own: Drawn[] = [];
    const { index, count, nodes } = this.rank;
    const perNode = count / nodes;
    this.takeTurns(numSequences, mixture, drawn, (stream, draw, k) => {
      const rank = (k % nodes) * perNode + (Math.floor(k / nodes) % perNode);
      if (rank === index) own.push({ stream, index: stream.order.at(draw) });
    });
    return own;
  }

  /** Draws for all ranks: `visit` is told of each draw's stream, its number in that stream, and its place in the batch. */
  private takeTurns(
    numSequences: number,
    mixture: Mixture,
    drawn: number[],
    visit: (stream: Stream, draw: number, k: number) => void,
  ): void {
    const { count } = this.rank;
    if (numSequences % count !== 0) {
      throw new DabarexError(
        'config_invalid',
        `${count} ranks cannot share ${numSequences} sequences evenly. Choose a multiple of ${count}.`,
        { numSequences, ranks: count },
      );
    }
    // A row of one draw a lane is of one stream; a batch may have ended within it.
    let current = drawn.findIndex((each) => each % this.canonicalNodes !== 0);
    for (let k = 0; k < numSequences; k++) {
      const isWithinRow = current >= 0 && drawn[current]! % this.canonicalNodes !== 0;
      if (!isWithinRow) current = mixture.next();
      if (current < 0) throw emptyStream(this.streams[0]!);
      visit(this.streams[current]!, drawn[current]!++, k);
    }
  }

  /** Whether sequences of the lane come to this rank's node. */
  private isOwnLane(lane: number): boolean {
    const { index, count, nodes } = this.rank;
    const node = Math.floor((index * nodes) / count);
    // Sequence k is of lane k mod lanes and node k mod nodes: they meet where both leave one rest by the common divisor.
    const shared = commonDivisor(this.canonicalNodes, nodes);
    return lane % shared === node % shared;
  }

  private normalised(mix: Mix): readonly number[] {
    const names = this.streams.map((each) => each.name);
    const unknown = Object.keys(mix).find((name) => !names.includes(name));
    const own = names.map((name) => (Object.hasOwn(mix, name) ? mix[name]! : 0));
    const sum = own.reduce((a, b) => a + b, 0);
    const problem =
      unknown !== undefined
        ? `names the stream "${unknown}", which the data does not have (it has ${names.join(', ')})`
        : own.some((weight) => !(weight >= 0)) || !(sum > 0 && Number.isFinite(sum))
          ? `sums to ${sum}; weights must be at least 0 and not all 0`
          : undefined;
    if (problem) {
      const text = JSON.stringify(mix);
      throw new DabarexError('config_invalid', `The mix ${text} ${problem}. Correct its weights.`, {
        mix: text,
      });
    }
    const empty = this.streams.find(({ reader }, i) => own[i]! > 0 && reader.numSamples === 0);
    if (empty) throw emptyStream(empty);
    return own.map((weight) => weight / sum);
  }
}

const VIRTUAL_SHARD = 256;

function openStream(name: string, source: string | SampleReader, options: StreamingDatasetOptions): Stream {
  const { seed, shuffle = 'block', blockSize = DEFAULT_BLOCK_SIZE, canonicalNodes: lanes = 1 } = options;
  const reader = typeof source === 'string' ? new MdsReader(source) : source;
  const shardSizes = reader.shardSizes ?? virtualShards(reader.numSamples);
  const key = { seed, stream: streamOf(name) };
  return { name, reader, order: new SampleOrder({ shuffle, blockSize, lanes, shardSizes, key }) };
}

/** Of a reader whose samples are all equally near. */
function virtualShards(numSamples: number): number[] {
  const count = Math.ceil(numSamples / VIRTUAL_SHARD);
  return Array.from({ length: count }, (_, i) => Math.min(VIRTUAL_SHARD, numSamples - i * VIRTUAL_SHARD));
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

function emptyStream({ name, reader }: Stream): DabarexError {
  return new DabarexError(
    'data_empty',
    `${reader.dir} holds no samples, but the mix draws from it. Add text to "${name}" or give it weight 0.`,
    { dir: reader.dir },
  );
}
