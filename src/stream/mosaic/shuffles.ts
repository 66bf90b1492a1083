/**
 * MosaicML Streaming's shuffles, bit for bit: from the sizes of the shards to the order of the whole epoch, which has to
 * be made at once, since numpy's generator cannot be entered in the middle (docs/streaming.md says what that costs).
 *
 *   naive   any sample anywhere: needs all shards at all times
 *   py1s    shards in random order, each shuffled within itself
 *   py2s    the same with the samples shuffled once more for the whole run
 *   py1br   shards in random order, blocks of about blockSize samples shuffled, staggered between canonical nodes
 *   py1e    shards in random order, each sample moved by up to half of about blockSize
 *
 * Whole shards go to a canonical node for the whole run; each node's part is shuffled by itself in every epoch.
 * Limit: 2^32 samples an epoch.
 */
import { assert, DabarexError } from '../../base/index.ts';
import { NumpyRandom } from './pcg64.ts';
import { divideSpans, type Span, spansOf } from './spans.ts';

export const MOSAIC_SHUFFLES = ['py1e', 'py1br', 'py1s', 'py2s', 'naive'] as const;
export type MosaicShuffle = (typeof MOSAIC_SHUFFLES)[number];

export interface ShuffleOptions {
  /** samples of each shard, in order */
  readonly sizes: readonly number[];
  readonly canonicalNodes: number;
  readonly seed: number;
  readonly epoch: number;
  readonly blockSize: number;
}

/**
 * Which sample stands at each place of the epoch.
 * @throws config_invalid for py1e where a canonical node gets no sample, and for blocks too small to vary in size
 */
export function mosaicShuffle(algorithm: MosaicShuffle, options: ShuffleOptions): Uint32Array {
  const total = options.sizes.reduce((sum, size) => sum + size, 0);
  assert(total < 2 ** 32, `${total} samples an epoch`);
  if (algorithm === 'naive') return new NumpyRandom(options.seed + options.epoch).permutation(total);
  if (algorithm === 'py2s') return py2s(options, total);
  const { random, nodes } = dealShards(options);
  if (algorithm === 'py1br') return py1br(options, random, nodes, total);
  return algorithm === 'py1s' ? py1s(random, nodes, total) : py1e(options, random, nodes, total);
}

/** The spans of each canonical node, dealt for the run and ordered for the epoch, and the epoch's generator after that. */
function dealShards({ sizes, canonicalNodes, seed, epoch }: ShuffleOptions) {
  const spans = spansOf(sizes);
  new NumpyRandom(seed).shuffleList(spans);
  const nodes = divideSpans(spans, canonicalNodes);
  const random = new NumpyRandom(seed + epoch);
  for (const node of nodes) random.shuffleList(node);
  return { random, nodes };
}

function py1s(random: NumpyRandom, nodes: readonly Span[][], total: number): Uint32Array {
  const ids = new Uint32Array(total);
  let end = 0;
  for (const span of nodes.flat()) {
    const start = end;
    end = fill(ids, start, span);
    random.shuffle(ids, start, end);
  }
  return ids;
}

function py2s({ sizes, canonicalNodes, seed, epoch }: ShuffleOptions, total: number): Uint32Array {
  const run = new NumpyRandom(seed);
  const spans = spansOf(sizes);
  run.shuffleList(spans);
  // The samples of the shards in the order of the run; a part of it is a span of this array.
  const samples = py1s(run, [spans], total);
  const places = spansOf(spans.map(({ begin, end }) => end - begin));
  const random = new NumpyRandom(seed + epoch);
  const ids = new Uint32Array(total);
  let end = 0;
  for (const node of divideSpans(places, canonicalNodes)) {
    random.shuffleList(node);
    for (const place of node) {
      const start = end;
      ids.set(samples.subarray(place.begin, place.end), start);
      end = start + place.end - place.begin;
      random.shuffle(ids, start, end);
    }
  }
  return ids;
}

function py1br(
  { blockSize, canonicalNodes }: ShuffleOptions,
  random: NumpyRandom,
  nodes: readonly Span[][],
  total: number,
): Uint32Array {
  const drawSize = blockSizes(blockSize, random);
  const staggers = Array.from({ length: canonicalNodes }, () =>
    random.integers(0, Math.floor(0.75 * blockSize)),
  );
  const ids = new Uint32Array(total);
  let nodeEnd = 0;
  for (const [number, spans] of nodes.entries()) {
    const nodeStart = nodeEnd;
    for (const span of spans) nodeEnd = fill(ids, nodeEnd, span);
    const stagger = staggers[number]!;
    const blocks: Span[] = [];
    for (let done = nodeStart; done < nodeEnd; ) {
      const width = drawSize();
      const begin = Math.max(done - stagger, nodeStart);
      const end = Math.min(done + width - stagger, nodeEnd);
      blocks.push({ begin, end });
      done += end - begin;
    }
    for (const { begin, end } of blocks) if (end > begin) random.shuffle(ids, begin, end);
  }
  return ids;
}

function py1e(
  { blockSize }: ShuffleOptions,
  random: NumpyRandom,
  nodes: readonly Span[][],
  total: number,
): Uint32Array {
  const drawSize = blockSizes(blockSize, random);
  const ids = new Uint32Array(total);
  let nodeEnd = 0;
  for (const spans of nodes) {
    const nodeStart = nodeEnd;
    for (const span of spans) {
      const start = nodeEnd;
      nodeEnd = fill(ids, start, span);
      random.shuffle(ids, start, nodeEnd);
    }
    const size = nodeEnd - nodeStart;
    if (size === 0) {
      throw new DabarexError(
        'config_invalid',
        `${total} samples leave one of ${nodes.length} canonical nodes without any. Choose fewer canonical nodes.`,
        { numSamples: total, canonicalNodes: nodes.length },
      );
    }
    const positions = new Float64Array(size);
    let offset = 0;
    for (const span of spans) {
      const length = span.end - span.begin;
      const reach = Math.max((drawSize() - length) / 2, 0);
      const low = Math.max(-reach, -offset);
      const high = Math.min(reach, size - offset - length);
      for (let k = offset; k < offset + length; k++) positions[k] = k + random.uniform(low, high);
      offset += length;
    }
    sortByPosition(ids.subarray(nodeStart, nodeEnd), positions);
  }
  return ids;
}

/** Draws sizes of about a block. @throws config_invalid where they could not vary */
function blockSizes(blockSize: number, random: NumpyRandom): () => number {
  const low = Math.floor(0.75 * blockSize);
  const high = Math.floor(1.25 * blockSize);
  if (low < 1) {
    throw new DabarexError(
      'config_invalid',
      `A block of ${blockSize} samples is too small to shuffle in. Choose a blockSize of at least 2 for every stream.`,
      { blockSize },
    );
  }
  return () => random.integers(low, high);
}

/** Writes the numbers of a span from `start`. @returns where they end */
function fill(ids: Uint32Array, start: number, { begin, end }: Span): number {
  for (let id = begin; id < end; id++) ids[start + id - begin] = id;
  return start + end - begin;
}

/**
 * Puts `ids` in the order of their positions, which lie within 0 and their number, about one to a unit: so they are dealt
 * to their unit, and sorted by insertion there. Equal positions, one in many millions, keep their order; numpy's need not.
 */
function sortByPosition(ids: Uint32Array, positions: Float64Array): void {
  const size = ids.length;
  const unitOf = (position: number) => Math.min(size - 1, Math.max(0, Math.floor(position)));
  const ends = new Uint32Array(size + 1);
  for (let i = 0; i < size; i++) ends[unitOf(positions[i]!) + 1]!++;
  for (let unit = 0; unit < size; unit++) ends[unit + 1]! += ends[unit]!;
  const order = new Uint32Array(size);
  for (let i = 0; i < size; i++) {
    const unit = unitOf(positions[i]!);
    order[ends[unit]!++] = i;
  }
  for (let i = 1; i < size; i++) {
    const moved = order[i]!;
    const position = positions[moved]!;
    let at = i;
    for (; at > 0 && positions[order[at - 1]!]! > position; at--) order[at] = order[at - 1]!;
    order[at] = moved;
  }
  for (let i = 0; i < size; i++) order[i] = ids[order[i]!]!;
  ids.set(order);
}
