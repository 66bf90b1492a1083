/**
 * The merges of a byte-level BPE: a hash of (left id, right id) -> rank, and the two ways to apply them to one piece.
 * Short pieces rescan for the lowest rank, which beats a heap below about a hundred symbols; long ones (a line of
 * ten thousand dashes) use a heap over a linked list and stay at O(n log n). Both merge the leftmost pair of the
 * lowest rank first, as tiktoken and Hugging Face tokenizers do, so they agree.
 */
import { assert } from '../base/index.ts';

/** Pieces of more symbols than this go through the heap. */
const MAX_RESCANNED_SYMBOLS = 96;
const NO_RANK = 0x7fffffff;
/** Rank and position share a float64 key: rank * 2^31 + position stays exact below 2^22 ranks. */
const POSITION_SPAN = 2 ** 31;
export const MAX_MERGES = 2 ** 22;

export class MergeTable {
  /** three numbers a merge, in the order of rank: left id, right id, id of the result */
  private readonly triples: Int32Array;
  private readonly slots: Int32Array;
  /** the rank of each merge where that is not its place */
  private readonly shared: Int32Array | undefined;
  private readonly shift: number;
  private readonly ranks = new Int32Array(MAX_RESCANNED_SYMBOLS);
  private size = 0;

  /**
   * An empty table that has room for `capacity` merges.
   * @param ranks of each merge, not falling, where some are equal; default: 0, 1, 2...
   */
  constructor(capacity: number, ranks?: Int32Array) {
    this.shared = ranks;
    assert(capacity < MAX_MERGES, 'ranks fit into keys');
    this.triples = new Int32Array(capacity * 3);
    const bits = Math.max(4, Math.ceil(Math.log2(capacity + 1)) + 1);
    this.shift = 32 - bits;
    this.slots = new Int32Array(2 ** bits).fill(-1);
  }

  /**
   * @param merges three numbers a merge, in the order of rank: left id, right id, id of the result; no pair twice
   * @param ranks as in the constructor
   */
  static of(merges: Int32Array, ranks?: Int32Array): MergeTable {
    assert(merges.length % 3 === 0, 'a merge is three numbers');
    const table = new MergeTable(merges.length / 3, ranks);
    for (let i = 0; i < merges.length; i += 3) table.add(merges[i]!, merges[i + 1]!, merges[i + 2]!);
    return table;
  }

  /** three numbers a merge, in the order of rank: left id, right id, id of the result */
  get merges(): Int32Array {
    return this.triples.subarray(0, this.size * 3);
  }

  /** Adds the merge of the next rank; the pair must be new. */
  add(left: number, right: number, result: number): void {
    const rank = this.size++;
    assert(rank * 3 < this.triples.length, 'a merge more than there is room for');
    this.triples[rank * 3] = left;
    this.triples[rank * 3 + 1] = right;
    this.triples[rank * 3 + 2] = result;
    const mask = this.slots.length - 1;
    let slot = hashPair(left, right) >>> this.shift;
    while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.slots[slot] = rank;
  }

  /** The rank of merging `left` with `right`, or a number above every rank. */
  rankOf(left: number, right: number): number {
    const place = this.placeOf(left, right);
    return this.shared === undefined || place === NO_RANK ? place : this.shared[place]!;
  }

  /** What merging `left` with `right` gives, whose rank is `rank`. */
  private resultOf(rank: number, left: number, right: number): number {
    const place = this.shared === undefined ? rank : this.placeOf(left, right);
    return this.triples[place * 3 + 2]!;
  }

  private placeOf(left: number, right: number): number {
    const { triples, slots } = this;
    const mask = slots.length - 1;
    let slot = hashPair(left, right) >>> this.shift;
    for (;;) {
      const rank = slots[slot]!;
      if (rank < 0) return NO_RANK;
      if (triples[rank * 3] === left && triples[rank * 3 + 1] === right) return rank;
      slot = (slot + 1) & mask;
    }
  }

  /** Merges `ids[start..start + count)` in place and returns how many are left there. */
  apply(ids: Int32Array, start: number, count: number): number {
    if (count <= MAX_RESCANNED_SYMBOLS) return this.applyByRescan(ids, start, count);
    return this.applyByHeap(ids.subarray(start, start + count), count);
  }

  /** {@link apply} for count <= 96. */
  applyByRescan(ids: Int32Array, start: number, count: number): number {
    const { ranks } = this;
    let end = start + count;
    for (let i = start; i + 1 < end; i++) ranks[i - start] = this.rankOf(ids[i]!, ids[i + 1]!);
    for (;;) {
      let best = NO_RANK;
      let at = -1;
      for (let i = 0; i + 1 < end - start; i++) {
        const rank = ranks[i]!;
        if (rank < best) {
          best = rank;
          at = i;
        }
      }
      if (at < 0) return end - start;
      end--;
      const place = start + at;
      ids[place] = this.resultOf(best, ids[place]!, ids[place + 1]!);
      for (let i = at + 1; start + i < end; i++) {
        ids[start + i] = ids[start + i + 1]!;
        ranks[i] = ranks[i + 1]!;
      }
      if (at > 0) ranks[at - 1] = this.rankOf(ids[place - 1]!, ids[place]!);
      if (place + 1 < end) ranks[at] = this.rankOf(ids[place]!, ids[place + 1]!);
    }
  }

  /** {@link apply} for any count. */
  applyByHeap(ids: Int32Array, count: number): number {
    const next = Int32Array.from({ length: count }, (_, i) => i + 1);
    const previous = Int32Array.from({ length: count }, (_, i) => i - 1);
    const ranks = new Int32Array(count).fill(NO_RANK);
    const heap = new KeyHeap(3 * count);
    const refresh = (at: number) => {
      const rank = at < 0 || next[at]! >= count ? NO_RANK : this.rankOf(ids[at]!, ids[next[at]!]!);
      if (at >= 0) ranks[at] = rank;
      if (rank !== NO_RANK) heap.push(rank * POSITION_SPAN + at);
    };
    for (let i = 0; i + 1 < count; i++) refresh(i);
    while (heap.size > 0) {
      const key = heap.pop();
      const rank = Math.floor(key / POSITION_SPAN);
      const at = key - rank * POSITION_SPAN;
      if (ranks[at] !== rank) continue;
      const absorbed = next[at]!;
      ids[at] = this.resultOf(rank, ids[at]!, ids[absorbed]!);
      ranks[absorbed] = NO_RANK;
      next[at] = next[absorbed]!;
      if (next[at]! < count) previous[next[at]!] = at;
      refresh(at);
      refresh(previous[at]!);
    }
    let kept = 0;
    for (let i = 0; i < count; i = next[i]!) ids[kept++] = ids[i]!;
    return kept;
  }
}

/** A 32-bit hash of a pair of ids, good in its high bits. */
export function hashPair(left: number, right: number): number {
  const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
}

/** A binary heap of numbers, the smallest first. */
class KeyHeap {
  size = 0;
  private readonly keys: Float64Array;

  constructor(capacity: number) {
    this.keys = new Float64Array(capacity);
  }

  push(key: number): void {
    const { keys } = this;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[at] = keys[parent]!;
      at = parent;
    }
    keys[at] = key;
  }

  pop(): number {
    const { keys } = this;
    const top = keys[0]!;
    const last = keys[--this.size]!;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= last) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = last;
    return top;
  }
}
