/**
 * The native orders of a stream's samples, endless, each place computed where it is needed.
 *
 * `block`: the samples stand in `lanes` rows of equal length, which take turns; whole shards belong to a lane, save those
 * cut at its ends, and to the same lane in every epoch. In each epoch a lane takes its shards in a new order, and shuffles
 * the samples of some neighbouring shards, a block, among themselves. So at any moment a lane needs the shards of one block only,
 * and a node that reads some lanes never needs the shards of the others.
 * `full` is one block; `none` is the order in which the samples were written.
 * Memory: some 250 bytes a shard, none a sample. Limit: 2^40 samples.
 */
import { DabarexError, lastAtMost } from '../../base/index.ts';
import { IndexPermutation, type OrderKey, subkey } from './permutation.ts';

export type NativeShuffle = 'block' | 'full' | 'none';

export interface SampleOrderOptions {
  readonly shuffle: NativeShuffle;
  /** samples that are shuffled among themselves; the blocks of a lane are of nearly this size */
  readonly blockSize: number;
  /** rows that take turns */
  readonly lanes: number;
  /** samples of each shard, as they stand in the stream */
  readonly shardSizes: readonly number[];
  readonly key: OrderKey;
}

/** A part of a shard, or all of it: `length` samples from `start`. */
interface Span {
  readonly start: number;
  readonly length: number;
  readonly shard: number;
}

/** A shard in use, from one turn of a lane to another. */
export interface ShardUse {
  readonly shard: number;
  readonly first: number;
  readonly last: number;
}

interface LaneEpoch {
  readonly epoch: number;
  readonly key: OrderKey;
  /** which span comes at each place */
  readonly order: Uint32Array;
  /** samples before each place's span; one more entry at the end */
  readonly starts: Float64Array;
}

interface Block {
  readonly epoch: number;
  readonly start: number;
  readonly end: number;
  readonly permutation: { at(place: number): number };
  /** places of its first and last span */
  readonly first: number;
  readonly last: number;
}

interface Lane {
  readonly size: number;
  readonly spans: readonly Span[];
  epoch?: LaneEpoch;
  block?: Block;
}

const SHARDS = 0;
const LANE_ORDER = 1;
const IDENTITY = { at: (place: number) => place };

export class SampleOrder {
  readonly numSamples: number;
  private readonly options: SampleOrderOptions;
  private readonly lanes: readonly Lane[];

  /** @throws config_invalid where there are more lanes than samples */
  constructor(options: SampleOrderOptions) {
    const { lanes, shardSizes, shuffle, key } = options;
    this.options = options;
    this.numSamples = shardSizes.reduce((sum, size) => sum + size, 0);
    if (this.numSamples > 0 && lanes > this.numSamples) {
      throw new DabarexError(
        'config_invalid',
        `${lanes} canonical nodes cannot share ${this.numSamples} samples. Choose at most ${this.numSamples}.`,
        { canonicalNodes: lanes, numSamples: this.numSamples },
      );
    }
    const isMixed = shuffle !== 'none' && lanes > 1;
    const dealt = isMixed ? new IndexPermutation(shardSizes.length, subkey(key, LANE_ORDER)) : undefined;
    this.lanes = cutLanes(shardSizes, lanes, this.numSamples, dealt);
  }

  /** The number of the sample that is drawn after `draw` others. */
  at(draw: number): number {
    const lane = this.lanes[draw % this.lanes.length]!;
    const turn = Math.floor(draw / this.lanes.length);
    const epoch = Math.floor(turn / lane.size);
    const place = turn - epoch * lane.size;
    const block = this.blockAt(lane, draw % this.lanes.length, epoch, place);
    const { order, starts } = lane.epoch!;
    const position = block.start + block.permutation.at(place - block.start);
    const at = lastAtMost(starts, position, block.first, block.last);
    return lane.spans[order[at]!]!.start + position - starts[at]!;
  }

  /** The shards that draws `from` up to `to`, not included, of the given lanes need, in the order of their blocks. */
  shardsBetween(from: number, to: number, isOwn: (lane: number) => boolean): number[] {
    const shards = new Set<number>();
    const count = this.lanes.length;
    for (const [number, lane] of this.lanes.entries()) {
      if (!isOwn(number)) continue;
      const end = Math.ceil((to - number) / count);
      let turn = Math.max(0, Math.ceil((from - number) / count));
      while (turn < end) {
        const epoch = Math.floor(turn / lane.size);
        const block = this.blockAt(lane, number, epoch, turn - epoch * lane.size);
        for (let place = block.first; place <= block.last; place++) {
          const span = lane.spans[lane.epoch!.order[place]!]!;
          if (span.length > 0) shards.add(span.shard);
        }
        turn = epoch * lane.size + block.end;
      }
    }
    return [...shards];
  }

  /** Which shards a lane uses in an epoch, block by block, and its turns of first and last use, within the epoch. */
  shardUses(number: number, epoch: number): ShardUse[] {
    const lane = this.lanes[number]!;
    const uses: ShardUse[] = [];
    for (let start = 0; start < lane.size; ) {
      const block = this.blockAt(lane, number, epoch, start);
      const { order, starts } = lane.epoch!;
      const spanAt = (place: number) =>
        lastAtMost(starts, start + block.permutation.at(place - start), block.first, block.last);
      const count = block.last - block.first + 1;
      const isOrdered = this.options.shuffle === 'none';
      const firsts = isOrdered ? starts.subarray(0, count) : seen(count, block, 1, spanAt);
      const lasts = isOrdered ? starts.map((each) => each - 1).subarray(1) : seen(count, block, -1, spanAt);
      for (let i = 0; i < count; i++) {
        uses.push({ shard: lane.spans[order[block.first + i]!]!.shard, first: firsts[i]!, last: lasts[i]! });
      }
      start = block.end;
    }
    return uses;
  }

  private blockAt(lane: Lane, number: number, epoch: number, place: number): Block {
    const known = lane.block;
    if (known?.epoch === epoch && place >= known.start && place < known.end) return known;
    if (lane.epoch?.epoch !== epoch) lane.epoch = this.orderSpans(lane, number, epoch);
    const { starts, key } = lane.epoch;
    const { start, end, index } = this.boundsOf(lane.size, place);
    const permutation =
      this.options.shuffle === 'none' ? IDENTITY : new IndexPermutation(end - start, subkey(key, 1 + index));
    lane.block = {
      epoch,
      start,
      end,
      permutation,
      first: lastAtMost(starts, start, 0, starts.length - 2),
      last: lastAtMost(starts, end - 1, 0, starts.length - 2),
    };
    return lane.block;
  }

  /** Blocks of a lane differ in size by one sample at most. */
  private boundsOf(laneSize: number, place: number): { start: number; end: number; index: number } {
    const { shuffle, blockSize } = this.options;
    const count = shuffle === 'block' ? Math.max(1, Math.round(laneSize / blockSize)) : 1;
    const small = Math.floor(laneSize / count);
    const numLarge = laneSize - small * count;
    const large = numLarge * (small + 1);
    const index =
      place < large ? Math.floor(place / (small + 1)) : numLarge + Math.floor((place - large) / small);
    const start = index * small + Math.min(index, numLarge);
    return { start, end: start + small + (index < numLarge ? 1 : 0), index };
  }

  private orderSpans({ spans }: Lane, number: number, epoch: number): LaneEpoch {
    const key = subkey(subkey(this.options.key, 2 + number), epoch);
    const isShuffled = this.options.shuffle !== 'none';
    const permutation = isShuffled ? new IndexPermutation(spans.length, subkey(key, SHARDS)) : undefined;
    const order = new Uint32Array(spans.length);
    const starts = new Float64Array(spans.length + 1);
    for (let i = 0; i < spans.length; i++) {
      order[i] = permutation ? permutation.at(i) : i;
      starts[i + 1] = starts[i]! + spans[order[i]!]!.length;
    }
    return { epoch, key, order, starts };
  }
}

/**
 * The place at which each span of a block is met first, from its start or its end. A span not met within twenty times as
 * many places as it should take counts as met there.
 */
function seen(
  count: number,
  block: Block,
  direction: 1 | -1,
  spanAt: (place: number) => number,
): Float64Array {
  const places = new Float64Array(count).fill(-1);
  const most = Math.min(
    block.end - block.start,
    Math.max(4096, Math.ceil(20 * count * (1 + Math.log(count)))),
  );
  const from = direction === 1 ? block.start : block.end - 1;
  let missing = count;
  for (let i = 0; i < most && missing > 0; i++) {
    const span = spanAt(from + direction * i) - block.first;
    if (places[span]! >= 0) continue;
    places[span] = from + direction * i;
    missing--;
  }
  return places.map((place) => (place >= 0 ? place : from + direction * (most - 1)));
}

/** Lanes of N / lanes samples, the first ones one longer where that is no whole number. */
function cutLanes(
  shardSizes: readonly number[],
  count: number,
  numSamples: number,
  dealt: IndexPermutation | undefined,
): Lane[] {
  const firstSample = new Float64Array(shardSizes.length + 1);
  for (const [s, size] of shardSizes.entries()) firstSample[s + 1] = firstSample[s]! + size;
  const lanes: Lane[] = [];
  let place = 0;
  let used = 0;
  for (let lane = 0; lane < count; lane++) {
    const size = Math.floor(numSamples / count) + (lane < numSamples % count ? 1 : 0);
    const spans: Span[] = [];
    for (let missing = size; missing > 0; ) {
      const shard = dealt ? dealt.at(place) : place;
      const length = Math.min(missing, shardSizes[shard]! - used);
      if (length > 0) spans.push({ start: firstSample[shard]! + used, length, shard });
      missing -= length;
      used += length;
      if (used < shardSizes[shard]!) continue;
      place++;
      used = 0;
    }
    lanes.push({ size, spans });
  }
  return lanes;
}
