/**
 * Endless training batches from several token data sets, one per domain, mixed by weights that may change before every
 * batch. Which sample comes next is a pure function of (seed, mixes and draws so far): each stream goes through its samples
 * in a new random order every epoch (shuffle.ts), and the streams take turns by their shares (mixture.ts). So the order does
 * not hang on the size of batches or the number of ranks, and a state of a few numbers resumes in the middle of an epoch,
 * without replay.
 * Limits: reads synchronously, from the page cache; orders are ours, not MosaicML's.
 */
import { assert, DabarexError, streamOf } from '../base/index.ts';
import { type Batch, emptyBatch, fillSequence, readTokens } from './batch.ts';
import { MdsReader } from './mds-reader.ts';
import { Mixture } from './mixture.ts';
import type { SampleReader } from './sample-reader.ts';
import { shuffledIndex } from './shuffle.ts';
import { requireSameData, type StreamingState } from './streaming-state.ts';

export interface StreamingDatasetOptions {
  /** domain -> folder of its token shards, or a reader of them, which is closed with the data set */
  readonly streams: Readonly<Record<string, string | SampleReader>>;
  readonly seed: number;
  /** token that ends a document */
  readonly endOfText: number;
  /** which of the processes that train together this is: it gets every count-th sequence; default: the only one */
  readonly rank?: { readonly index: number; readonly count: number };
}

/** Relative weights of the streams; one left out has 0. */
export type Mix = Readonly<Record<string, number>>;

/** One sample of a stream. */
export interface SamplePlace {
  readonly stream: string;
  readonly index: number;
}

interface Stream {
  readonly name: string;
  readonly key: number;
  readonly reader: SampleReader;
}

export class StreamingDataset {
  private readonly streams: readonly Stream[];
  private readonly seed: number;
  private readonly endOfText: number;
  private readonly rank: { readonly index: number; readonly count: number };
  private readonly mixture: Mixture;
  private drawn: number[];

  /**
   * Starts with the streams mixed by their sizes. Close it to give the file handles back.
   * @throws as {@link MdsReader}
   */
  constructor({ streams, seed, endOfText, rank = { index: 0, count: 1 } }: StreamingDatasetOptions) {
    assert(rank.index >= 0 && rank.index < rank.count, `rank ${rank.index} of ${rank.count}`);
    this.seed = seed;
    this.endOfText = endOfText;
    this.rank = rank;
    this.streams = Object.entries(streams)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, source]) => ({
        name,
        key: streamOf(name),
        reader: typeof source === 'string' ? new MdsReader(source) : source,
      }));
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
   * @throws sequence_length_mismatch where samples do not hold sequenceLength + 1 tokens; config_invalid where the ranks
   * cannot share them evenly; data_empty; shard_truncated, shard_corrupt, shard_missing. The position is then that before
   * the call.
   */
  nextBatch(numSequences: number, sequenceLength: number): Batch {
    const mixture = this.mixture.clone();
    const drawn = [...this.drawn];
    const own = this.draw(numSequences, mixture, drawn);
    const batch = emptyBatch(own.length, sequenceLength);
    for (const [b, { stream, index }] of own.entries()) {
      fillSequence(batch, b, readTokens(stream.reader, index, sequenceLength), this.endOfText);
    }
    this.mixture.restore(mixture.currentWeights, mixture.state());
    this.drawn = drawn;
    return batch;
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
    return { seed: this.seed, streams: Object.fromEntries(streams) };
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

  /** Moves `mixture` and `drawn` by so many draws. @returns those of this rank */
  private draw(numSequences: number, mixture: Mixture, drawn: number[]) {
    const { index: rank, count } = this.rank;
    if (numSequences % count !== 0) {
      throw new DabarexError(
        'config_invalid',
        `${count} ranks cannot share ${numSequences} sequences evenly. Choose a multiple of ${count}.`,
        { numSequences, ranks: count },
      );
    }
    const own: { stream: Stream; index: number }[] = [];
    for (let k = 0; k < numSequences; k++) {
      const i = mixture.next();
      if (i < 0) throw this.noSamples();
      const stream = this.streams[i]!;
      const place = drawn[i]!++;
      if (k % count !== rank) continue;
      const { numSamples } = stream.reader;
      const key = { seed: this.seed, stream: stream.key, epoch: Math.floor(place / numSamples) };
      own.push({ stream, index: shuffledIndex(place % numSamples, numSamples, key) });
    }
    return own;
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

  private noSamples(): DabarexError {
    return emptyStream(this.streams[0]!);
  }
}

function emptyStream({ name, reader }: Stream): DabarexError {
  return new DabarexError(
    'data_empty',
    `${reader.dir} holds no samples, but the mix draws from it. Add text to "${name}" or give it weight 0.`,
    { dir: reader.dir },
  );
}
