/**
 * How many samples of each stream and shard an epoch takes, and which, as MosaicML Streaming does, bit for bit: a shard
 * taken 2.5 times is there twice whole and once by half. Where samples are left out, chance says which.
 */
import { DabarexError, lastAtMost } from '../../base/index.ts';
import { NumpyRandom } from './pcg64.ts';

/** What a stream gives to an epoch; all streams by proportion, or none of them. */
export interface StreamShare {
  /** relative to the other streams */
  readonly proportion?: number;
  /** how often the stream is in an epoch */
  readonly repeat?: number;
  /** how many of its samples an epoch takes */
  readonly choose?: number;
}

export interface NamedShare extends StreamShare {
  readonly name: string;
  readonly numSamples: number;
}

/** A stream's part of an epoch. */
export interface Chosen {
  readonly choose: number;
  /** of the epoch; all sum to 1 */
  readonly proportion: number;
}

/**
 * What each stream gives to an epoch.
 * @param epochSize samples an epoch takes by proportion; default: as many as there are
 * @throws config_invalid where shares of both kinds meet, epochSize stands beside absolute ones, or a stream gets nothing;
 * data_empty for a stream without samples
 */
export function chooseSamples(
  shares: readonly NamedShare[],
  epochSize: number | undefined,
  seed: number,
): Chosen[] {
  checkShares(shares, epochSize);
  const isRelative = shares[0]!.proportion !== undefined;
  const isPlain = shares.every((share) => share.repeat === undefined && share.choose === undefined);
  const total = shares.reduce((sum, share) => sum + share.numSamples, 0);
  if (isRelative || (isPlain && epochSize !== undefined)) {
    return byProportion(
      shares.map((share) => (isRelative ? share.proportion! : share.numSamples)),
      epochSize ?? total,
      seed,
    );
  }
  const counts = shares.map(({ repeat, choose, numSamples }) =>
    repeat !== undefined ? Math.floor(repeat * numSamples) : (choose ?? numSamples),
  );
  const all = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((choose) => ({ choose, proportion: choose / all }));
}

function byProportion(weights: readonly number[], epochSize: number, seed: number): Chosen[] {
  const sum = weights.reduce((all, weight) => all + weight, 0);
  const chosen = weights.map((weight) => {
    const proportion = weight / sum;
    return { choose: Math.floor(epochSize * proportion), proportion };
  });
  const missing = epochSize - chosen.reduce((all, { choose }) => all + choose, 0);
  for (const i of new NumpyRandom(seed).choice(weights.length, missing)) {
    chosen[i] = { ...chosen[i]!, choose: chosen[i]!.choose + 1 };
  }
  return chosen;
}

function checkShares(shares: readonly NamedShare[], epochSize: number | undefined): void {
  const isRelative = shares[0]?.proportion !== undefined;
  for (const { name, numSamples, proportion, repeat, choose } of shares) {
    const given = [proportion, repeat, choose].filter((each) => each !== undefined);
    if (given.length > 1)
      throw invalid(
        `The stream "${name}" has ${given.length} of proportion, repeat and choose; it may have one`,
        name,
      );
    if ((proportion !== undefined) !== isRelative) {
      throw invalid(
        'Streams by proportion cannot stand beside streams by repeat, by choose or without a share',
        name,
      );
    }
    if (given.some((each) => !(each > 0 && Number.isFinite(each)))) {
      throw invalid(
        `The stream "${name}" has a share of ${given[0]}; it must be more than 0. Leave the stream out instead`,
        name,
      );
    }
    if (epochSize !== undefined && (repeat !== undefined || choose !== undefined)) {
      throw invalid(
        `epochSize says how long an epoch is, and so does the share of "${name}". Leave one out`,
        name,
      );
    }
    if (numSamples === 0) {
      throw new DabarexError(
        'data_empty',
        `The stream "${name}" holds no samples. Add data to it or leave it out.`,
        { name },
      );
    }
  }
}

function invalid(problem: string, stream: string): DabarexError {
  return new DabarexError('config_invalid', `${problem}. Correct data.stream.streams.`, { stream });
}

/** How many samples of each shard are taken. @param granularity how many of a shard are taken at a time */
export function samplesPerShard(
  sizes: readonly number[],
  choose: number,
  granularity: number,
  seed: number,
): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const whole = Math.floor(choose / total);
  const chosen = sizes.map((size) => size * whole);
  let missing = choose - whole * total;
  if (missing === 0) return chosen;
  const picks = sizes.map((size) => Math.ceil(size / granularity));
  const firstPick = new Float64Array(sizes.length + 1);
  for (const [shard, count] of picks.entries()) firstPick[shard + 1] = firstPick[shard]! + count;
  const shardOfPick = new Uint32Array(firstPick[sizes.length]!);
  for (const shard of sizes.keys()) shardOfPick.fill(shard, firstPick[shard], firstPick[shard + 1]);
  for (const pick of new NumpyRandom(seed).permutation(shardOfPick.length)) {
    const shard = shardOfPick[pick]!;
    const isLast = pick === firstPick[shard + 1]! - 1;
    const size = isLast ? sizes[shard]! - (picks[shard]! - 1) * granularity : granularity;
    const taken = Math.min(missing, size);
    chosen[shard]! += taken;
    missing -= taken;
    if (missing === 0) break;
  }
  return chosen;
}

/** An epoch's samples before they are shuffled. */
export interface Resampled {
  /** samples that lie together: whole shards, and parts of some */
  readonly units: readonly number[];
  readonly numSamples: number;
  /** the sample of the streams that stands for the epoch's `i`th */
  sampleAt(i: number): number;
}

/** Shards of one stream, and how many samples an epoch takes of each. */
export interface ShardChoice {
  readonly sizes: readonly number[];
  readonly chosen: readonly number[];
  /** number of the stream's first sample */
  readonly offset: number;
}

/** Lays the chosen samples out shard by shard; parts of shards are drawn from `random`. */
export function resample(streams: readonly ShardChoice[], random: NumpyRandom): Resampled {
  const units: number[] = [];
  const firsts: number[] = [];
  const sources: (number | Uint32Array)[] = [];
  let numSamples = 0;
  const add = (size: number, source: number | Uint32Array) => {
    units.push(size);
    firsts.push(numSamples);
    sources.push(source);
    numSamples += size;
  };
  for (const { sizes, chosen, offset } of streams) {
    let first = offset;
    for (const [shard, size] of sizes.entries()) {
      const count = chosen[shard]!;
      for (let copy = 0; copy < Math.floor(count / Math.max(1, size)); copy++) add(size, first);
      const part = size > 0 ? count % size : 0;
      if (part > 0) {
        const start = first;
        add(
          part,
          random
            .choice(size, part)
            .sort()
            .map((each) => start + each),
        );
      }
      first += size;
    }
  }
  return { units, numSamples, sampleAt: (i) => sampleAt(firsts, sources, i) };
}

function sampleAt(firsts: readonly number[], sources: readonly (number | Uint32Array)[], i: number): number {
  const at = lastAtMost(firsts, i);
  const source = sources[at]!;
  const within = i - firsts[at]!;
  return typeof source === 'number' ? source + within : source[within]!;
}
