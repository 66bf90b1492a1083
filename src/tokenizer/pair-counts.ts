/**
 * The counts of neighbouring symbols while a BPE is trained: a hash of pairs, the words each occurs in, and a heap that
 * gives the most frequent pair. Counts change without touching the heap; an entry that is out of date is put back
 * with its true count when it comes up.
 */
import { hashPair } from './merge-table.ts';

export class PairCounts {
  private slots = new Int32Array(1 << 16).fill(-1);
  private readonly lefts: number[] = [];
  private readonly rights: number[] = [];
  private readonly counts: number[] = [];
  private readonly words: number[][] = [];
  private readonly changed = new Set<number>();
  /** a binary heap: pair, and its count when it was put in */
  private readonly heapPairs: number[] = [];
  private readonly heapCounts: number[] = [];

  /** Counts the pair `count` more times, in `word`. */
  add(left: number, right: number, count: number, word: number): void {
    const pair = this.find(left, right);
    this.counts[pair]! += count;
    const words = this.words[pair]!;
    if (words[words.length - 1] !== word) words.push(word);
    this.changed.add(pair);
  }

  /** Counts the pair `count` fewer times. */
  subtract(left: number, right: number, count: number): void {
    this.counts[this.find(left, right)]! -= count;
  }

  /** Makes the pairs that `add` touched eligible; called after a whole merge. */
  enqueueChanged(): void {
    for (const pair of this.changed) if (this.counts[pair]! > 0) this.push(pair);
    this.changed.clear();
  }

  /**
   * Takes the pair of the highest count (then smallest left, then smallest right id) and forgets it; undefined for none.
   * `words` may repeat a word or hold one that no longer has the pair.
   */
  takeMostFrequent(): { left: number; right: number; words: readonly number[] } | undefined {
    while (this.heapPairs.length > 0) {
      const pair = this.heapPairs[0]!;
      const queued = this.heapCounts[0]!;
      this.pop();
      const count = this.counts[pair]!;
      if (count <= 0) continue;
      if (count !== queued) {
        if (count < queued) this.push(pair);
        continue;
      }
      const words = this.words[pair]!;
      this.words[pair] = [];
      this.counts[pair] = Number.NEGATIVE_INFINITY;
      return { left: this.lefts[pair]!, right: this.rights[pair]!, words };
    }
    return undefined;
  }

  private find(left: number, right: number): number {
    const mask = this.slots.length - 1;
    let slot = hashPair(left, right) & mask;
    for (;;) {
      const pair = this.slots[slot]!;
      if (pair < 0) break;
      if (this.lefts[pair] === left && this.rights[pair] === right) return pair;
      slot = (slot + 1) & mask;
    }
    const pair = this.counts.length;
    this.lefts.push(left);
    this.rights.push(right);
    this.counts.push(0);
    this.words.push([]);
    this.slots[slot] = pair;
    if (this.counts.length * 2 > this.slots.length) this.grow();
    return pair;
  }

  private grow(): void {
    this.slots = new Int32Array(this.slots.length * 2).fill(-1);
    const mask = this.slots.length - 1;
    for (let pair = 0; pair < this.counts.length; pair++) {
      let slot = hashPair(this.lefts[pair]!, this.rights[pair]!) & mask;
      while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
      this.slots[slot] = pair;
    }
  }

  private isBefore(pairA: number, countA: number, pairB: number, countB: number): boolean {
    if (countA !== countB) return countA > countB;
    const byLeft = this.lefts[pairA]! - this.lefts[pairB]!;
    return (byLeft || this.rights[pairA]! - this.rights[pairB]!) < 0;
  }

  private push(pair: number): void {
    const { heapPairs, heapCounts } = this;
    const count = this.counts[pair]!;
    let at = heapPairs.length;
    heapPairs.push(pair);
    heapCounts.push(count);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(pair, count, heapPairs[parent]!, heapCounts[parent]!)) break;
      heapPairs[at] = heapPairs[parent]!;
      heapCounts[at] = heapCounts[parent]!;
      at = parent;
    }
    heapPairs[at] = pair;
    heapCounts[at] = count;
  }

  private pop(): void {
    const { heapPairs, heapCounts } = this;
    const pair = heapPairs.pop()!;
    const count = heapCounts.pop()!;
    const size = heapPairs.length;
    if (size === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= size) break;
      const other = child + 1;
      if (
        other < size &&
        this.isBefore(heapPairs[other]!, heapCounts[other]!, heapPairs[child]!, heapCounts[child]!)
      ) {
        child = other;
      }
      if (this.isBefore(pair, count, heapPairs[child]!, heapCounts[child]!)) break;
      heapPairs[at] = heapPairs[child]!;
      heapCounts[at] = heapCounts[child]!;
      at = child;
    }
    heapPairs[at] = pair;
    heapCounts[at] = count;
  }
}
