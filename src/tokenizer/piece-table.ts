/**
 * A hash table from pieces of UTF-8 to numbers, without a string or an object a piece: open addressing over one Int32Array.
 * Pieces of up to eight bytes, nearly all, are their own key; of longer ones the slot holds the hash and where the bytes are kept.
 */
import { assert } from '../base/index.ts';
import type { Utf8Text } from './utf8-text.ts';

/** Numbers a slot: two of the key, the length (0: free), the value. */
const STRIDE = 4;
const SHORT_BYTES = 8;
/** `LOW_BYTES[n]` keeps the first n bytes of a word read in little-endian order. */
const LOW_BYTES: Readonly<Int32Array> = Int32Array.of(0, 0xff, 0xffff, 0xffffff, -1);

export class PieceTable {
  size = 0;
  private slots: Int32Array;
  private shift: number;
  /** bytes of the long pieces, each from a multiple of four on, padded with zeros */
  private kept = new Int32Array(1 << 10);
  private keptWords = 0;

  /** @param capacity pieces it holds before it is full, a power of two */
  constructor(capacity: number) {
    assert(capacity >= 8 && (capacity & (capacity - 1)) === 0, 'a capacity is a power of two');
    this.slots = new Int32Array(2 * capacity * STRIDE);
    this.shift = Math.clz32(2 * capacity) + 1;
  }

  get capacity(): number {
    return this.slots.length / (2 * STRIDE);
  }

  /** Where the piece `text[start..start + length)` stands, or the complement of where it may be put. `length` > 0. */
  find({ view }: Utf8Text, start: number, length: number): number {
    if (length > SHORT_BYTES) return this.findLong(view, start, length);
    const { slots } = this;
    const head = Math.min(length, 4);
    const low = view.getInt32(start, true) & LOW_BYTES[head]!;
    const high = view.getInt32(start + 4, true) & LOW_BYTES[length - head]!;
    const last = slots.length - 1;
    let at = (hashWords(low, high, length) >>> this.shift) * STRIDE;
    for (;;) {
      const found = slots[at + 2]!;
      if (found === 0) return ~at;
      if (slots[at] === low && slots[at + 1] === high && found === length) return at;
      at = (at + STRIDE) & last;
    }
  }

  /** Puts the piece to where {@link find} said, `~place`; the table must not be full. @returns the same as a place */
  insert({ view }: Utf8Text, start: number, length: number, place: number, value: number): number {
    const { slots } = this;
    const at = ~place;
    if (length <= SHORT_BYTES) {
      const head = Math.min(length, 4);
      slots[at] = view.getInt32(start, true) & LOW_BYTES[head]!;
      slots[at + 1] = view.getInt32(start + 4, true) & LOW_BYTES[length - head]!;
    } else {
      slots[at] = hashBytes(view, start, length);
      slots[at + 1] = this.keep(view, start, length);
    }
    slots[at + 2] = length;
    slots[at + 3] = value;
    this.size++;
    return at;
  }

  get isFull(): boolean {
    return this.size >= this.capacity;
  }

  valueAt(place: number): number {
    return this.slots[place + 3]!;
  }

  /** Makes room for twice as many; places change. */
  grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2);
    this.shift--;
    const last = this.slots.length - 1;
    for (let from = 0; from < old.length; from += STRIDE) {
      const length = old[from + 2]!;
      if (length === 0) continue;
      const hash = length <= SHORT_BYTES ? hashWords(old[from]!, old[from + 1]!, length) : old[from]!;
      let at = (hash >>> this.shift) * STRIDE;
      while (this.slots[at + 2] !== 0) at = (at + STRIDE) & last;
      for (let i = 0; i < STRIDE; i++) this.slots[at + i] = old[from + i]!;
    }
  }

  /** Forgets all pieces. */
  clear(): void {
    this.slots.fill(0);
    this.size = 0;
    this.keptWords = 0;
  }

  private findLong(view: DataView, start: number, length: number): number {
    const { slots } = this;
    const hash = hashBytes(view, start, length);
    const last = slots.length - 1;
    let at = (hash >>> this.shift) * STRIDE;
    for (;;) {
      const found = slots[at + 2]!;
      if (found === 0) return ~at;
      if (slots[at] === hash && found === length && this.isKept(slots[at + 1]!, view, start, length))
        return at;
      at = (at + STRIDE) & last;
    }
  }

  private isKept(word: number, view: DataView, start: number, length: number): boolean {
    const { kept } = this;
    let i = 0;
    for (; i + 4 <= length; i += 4) if (view.getInt32(start + i, true) !== kept[word++]) return false;
    return i === length || (view.getInt32(start + i, true) & LOW_BYTES[length - i]!) === kept[word];
  }

  private keep(view: DataView, start: number, length: number): number {
    const first = this.keptWords;
    const words = (length + 3) >> 2;
    if (first + words > this.kept.length) {
      const grown = new Int32Array(Math.max(first + words, this.kept.length * 2));
      grown.set(this.kept);
      this.kept = grown;
    }
    for (let word = 0; word < words; word++) {
      const left = length - 4 * word;
      this.kept[first + word] = view.getInt32(start + 4 * word, true) & LOW_BYTES[Math.min(left, 4)]!;
    }
    this.keptWords += words;
    return first;
  }
}

/** A 32-bit hash, good in its high bits. */
function hashWords(low: number, high: number, length: number): number {
  const mixed = Math.imul(low, 0x9e3779b1) ^ Math.imul(high + length, 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35);
}

function hashBytes(view: DataView, start: number, length: number): number {
  let hash = length;
  const end = start + length - 4;
  for (let at = start; at < end; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hashWords(hash, view.getInt32(end, true), length);
}
