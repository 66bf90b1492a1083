/**
 * Best-fit-decreasing packing of documents into sequences of one length: the longest first, each into the fullest sequence
 * that still has room for it (Johnson 1974; within 11/9 of the best). Sequences are found by the room they have left, in a set of small numbers
 * with a fast "next one up", so n documents take n · log32(capacity) steps rather than n².
 */
import { assert } from '../base/index.ts';

/**
 * Which documents stand together.
 * @param lengths 1 to `capacity` each
 * @returns the sequences, in the order of their first documents, each with its documents' numbers in order
 */
export function packBestFit(lengths: readonly number[], capacity: number): number[][] {
  const rooms = new NumberSet(capacity + 1);
  /** by room left: sequences that have it, the last one is taken first */
  const byRoom: number[][] = Array.from({ length: capacity + 1 }, () => []);
  const sequences: number[][] = [];
  for (const document of longestFirst(lengths, capacity)) {
    const length = lengths[document]!;
    const room = rooms.atLeast(length);
    const sequence = room < 0 ? sequences.push([]) - 1 : byRoom[room]!.pop()!;
    if (room >= 0 && byRoom[room]!.length === 0) rooms.remove(room);
    sequences[sequence]!.push(document);
    const left = (room < 0 ? capacity : room) - length;
    if (left === 0) continue;
    byRoom[left]!.push(sequence);
    rooms.add(left);
  }
  for (const each of sequences) each.sort((a, b) => a - b);
  return sequences.sort((a, b) => a[0]! - b[0]!);
}

/** Documents by falling length, equally long ones in order: a counting sort. */
function longestFirst(lengths: readonly number[], capacity: number): Int32Array {
  const starts = new Int32Array(capacity + 2);
  for (const length of lengths) {
    assert(
      Number.isInteger(length) && length >= 1 && length <= capacity,
      `a document of ${length} of ${capacity}`,
    );
    starts[capacity - length + 1]!++;
  }
  for (let i = 1; i < starts.length; i++) starts[i]! += starts[i - 1]!;
  const order = new Int32Array(lengths.length);
  for (let i = 0; i < lengths.length; i++) order[starts[capacity - lengths[i]!]!++] = i;
  return order;
}

/** Numbers below a limit; a tree of words of 32 bits, each bit saying that something is below. */
class NumberSet {
  /** from the leaves up */
  private readonly levels: Int32Array[] = [];

  constructor(limit: number) {
    let words = limit;
    do {
      words = Math.ceil(words / 32);
      this.levels.push(new Int32Array(words));
    } while (words > 1);
  }

  add(value: number): void {
    for (const level of this.levels) {
      level[value >> 5]! |= 1 << (value & 31);
      value >>= 5;
    }
  }

  remove(value: number): void {
    for (const level of this.levels) {
      level[value >> 5]! &= ~(1 << (value & 31));
      if (level[value >> 5] !== 0) return;
      value >>= 5;
    }
  }

  /** The smallest of at least `value`; -1 where there is none. */
  atLeast(value: number): number {
    let depth = 0;
    for (; depth < this.levels.length; depth++) {
      const word = value >> 5 < this.levels[depth]!.length ? this.levels[depth]![value >> 5]! : 0;
      const rest = word & (-1 << (value & 31));
      if (rest !== 0) {
        value = (value & ~31) | lowestBit(rest);
        break;
      }
      // Nothing more in this word: whatever stands behind it, one level up.
      value = (value >> 5) + 1;
    }
    if (depth === this.levels.length) return -1;
    while (depth-- > 0) value = (value << 5) | lowestBit(this.levels[depth]![value]!);
    return value;
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
