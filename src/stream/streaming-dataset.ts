/**
 * Endless training batches from several token data sets, one per domain, mixed by the weights of the current phase of
 * the curriculum. Which sample comes next is a pure function of (seed, phase and draws so far): each stream goes through
 * its samples in a new random order every epoch (shuffle.ts), and the streams take turns by their shares (mixture.ts).
 * So batches do not hang on their size, and a state of a few numbers resumes in the middle of an epoch, without replay.
 * Limits: reads synchronously, from the page cache; one process; orders are ours, not MosaicML's.
 */
import { assert, DabarexError, streamOf } from '../base/index.ts';
import { type Batch, emptyBatch, fillSequence, readTokens } from './batch.ts';
import { MdsReader } from './mds-reader.ts';
import { nextStream } from './mixture.ts';
import { shuffledIndex } from './shuffle.ts';

export interface StreamingDatasetOptions {
  /** domain -> folder of its token shards */
  readonly streams: Readonly<Record<string, string>>;
  /** relative weights of the domains in each phase, a domain left out has 0; absent: one phase, domains by their size */
  readonly phases?: readonly { readonly weights: Readonly<Record<string, number>> }[];
  readonly seed: number;
  /** token that ends a document */
  readonly endOfText: number;
}

/** All that the next batch depends on; survives JSON. */
export interface StreamingState {
  readonly seed: number;
  readonly phase: number;
  readonly streams: Readonly<
    Record<string, { readonly numSamples: number; readonly drawn: number; readonly drawnInPhase: number }>
  >;
}

interface Stream {
  readonly name: string;
  readonly key: number;
  readonly reader: MdsReader;
}

export class StreamingDataset {
  private readonly streams: readonly Stream[];
  private readonly seed: number;
  private readonly endOfText: number;
  /** by phase, then stream; each sums to 1 */
  private readonly weights: readonly (readonly number[])[];
  private phase = 0;
  private drawn: number[];
  private drawnInPhase: number[];

  /**
   * Starts in phase 0. Close it to give the file handles back.
   * @throws config_invalid for weights that name no stream or sum to 0; data_empty for a weighted stream without
   * samples; and as {@link MdsReader}
   */
  constructor({ streams, phases, seed, endOfText }: StreamingDatasetOptions) {
    this.seed = seed;
    this.endOfText = endOfText;
    this.streams = Object.entries(streams)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, dir]) => ({ name, key: streamOf(name), reader: new MdsReader(dir) }));
    const bySize = {
      weights: Object.fromEntries(this.streams.map((each) => [each.name, each.reader.numSamples])),
    };
    this.weights = (phases ?? [bySize]).map((phase, i) => normalised(phase.weights, this.streams, i));
    this.drawn = this.streams.map(() => 0);
    this.drawnInPhase = this.streams.map(() => 0);
  }

  /** Samples of each stream; an epoch of a stream is this many draws. */
  get numSamples(): Record<string, number> {
    return Object.fromEntries(this.streams.map((each) => [each.name, each.reader.numSamples]));
  }

  /** Draws of each stream so far, of all phases. */
  get drawnSamples(): Record<string, number> {
    return Object.fromEntries(this.streams.map((each, i) => [each.name, this.drawn[i]!]));
  }

  /** Changes the mix for what follows; setting the phase it is in changes nothing. */
  setPhase(phase: number): void {
    assert(phase >= 0 && phase < this.weights.length, `phase ${phase} of ${this.weights.length}`);
    if (phase === this.phase) return;
    this.phase = phase;
    this.drawnInPhase = this.streams.map(() => 0);
  }

  /**
   * The next sequences of the run, in memory of their own.
   * @throws sequence_length_mismatch where samples do not hold sequenceLength + 1 tokens; shard_truncated, shard_corrupt,
   * shard_missing. The position is then that before the call.
   */
  nextBatch(numSequences: number, sequenceLength: number): Batch {
    const before = this.state();
    try {
      const batch = emptyBatch(numSequences, sequenceLength);
      for (let b = 0; b < numSequences; b++) {
        fillSequence(batch, b, this.nextSample(sequenceLength), this.endOfText);
      }
      return batch;
    } catch (error) {
      this.restore(before);
      throw error;
    }
  }

  /** Where it stands; {@link restore} of it gives the same batches from here on. */
  state(): StreamingState {
    const streams = this.streams.map(({ name, reader }, i) => [
      name,
      { numSamples: reader.numSamples, drawn: this.drawn[i]!, drawnInPhase: this.drawnInPhase[i]! },
    ]);
    return { seed: this.seed, phase: this.phase, streams: Object.fromEntries(streams) };
  }

  /** Continues where `state` was taken. @throws checkpoint_mismatch where it is of other data or another seed, or no place in it */
  restore(state: StreamingState): void {
    const describe = (each: StreamingState) =>
      JSON.stringify([
        each.seed,
        Object.entries(each.streams ?? {}).map(([name, s]) => [name, s.numSamples]),
      ]);
    const own = this.state();
    const isPhase = Number.isInteger(state.phase) && state.phase >= 0 && state.phase < this.weights.length;
    if (describe(own) !== describe(state) || !isPhase) {
      throw new DabarexError(
        'checkpoint_mismatch',
        `The checkpoint's place in the data is of other data: [seed, streams] ${describe(state)} in phase ` +
          `${state.phase}, here ${describe(own)}. Continue with the recipe and the data it was made with.`,
      );
    }
    for (const [name, { drawn, drawnInPhase }] of Object.entries(state.streams)) {
      if (isCount(drawn) && isCount(drawnInPhase) && drawnInPhase <= drawn) continue;
      throw new DabarexError(
        'checkpoint_mismatch',
        `The checkpoint's place in the data is none: "${name}" was drawn ${drawn} times, ${drawnInPhase} of them in its phase. ` +
          'Its state is damaged; continue from an older checkpoint.',
        { name },
      );
    }
    this.phase = state.phase;
    this.drawn = this.streams.map(({ name }) => state.streams[name]!.drawn);
    this.drawnInPhase = this.streams.map(({ name }) => state.streams[name]!.drawnInPhase);
  }

  close(): void {
    for (const each of this.streams) each.reader.close();
  }

  private nextSample(sequenceLength: number): Int32Array {
    const i = nextStream(this.weights[this.phase]!, this.drawnInPhase);
    const { key, reader } = this.streams[i]!;
    const { numSamples } = reader;
    const draw = this.drawn[i]!;
    const epoch = Math.floor(draw / numSamples);
    const index = shuffledIndex(draw % numSamples, numSamples, { seed: this.seed, stream: key, epoch });
    const tokens = readTokens(reader, index, sequenceLength);
    this.drawn[i]!++;
    this.drawnInPhase[i]!++;
    return tokens;
  }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function normalised(
  weights: Readonly<Record<string, number>>,
  streams: readonly Stream[],
  phase: number,
): readonly number[] {
  const names = streams.map((each) => each.name);
  const unknown = Object.keys(weights).find((name) => !names.includes(name));
  const own = names.map((name) => (Object.hasOwn(weights, name) ? weights[name]! : 0));
  const sum = own.reduce((a, b) => a + b, 0);
  const problem =
    unknown !== undefined
      ? `name the domain "${unknown}", which the data does not have (it has ${names.join(', ')})`
      : own.some((weight) => !(weight >= 0)) || !(sum > 0 && Number.isFinite(sum))
        ? `sum to ${sum}; they must be at least 0 and not all 0`
        : undefined;
  if (problem) {
    throw new DabarexError(
      'config_invalid',
      `The weights of phase ${phase} ${problem}. Correct train.phases.`,
      {
        phase,
      },
    );
  }
  const empty = streams.find(({ reader }, i) => own[i]! > 0 && reader.numSamples === 0);
  if (empty) {
    throw new DabarexError(
      'data_empty',
      `${empty.reader.dir} holds no samples, but phase ${phase} draws from it. Add text to the domain or give it weight 0.`,
      { dir: empty.reader.dir },
    );
  }
  return own.map((weight) => weight / sum);
}
