/**
 * Text to ids: split, look the piece up among those seen, merge it where it is new. Most pieces of real text repeat, so
 * encoding is one scan and one lookup a piece; nothing is allocated for a piece.
 */
import type { MergeTable } from './merge-table.ts';
import { PieceTable } from './piece-table.ts';
import type { Splitter } from './split.ts';
import type { TokenBuffer } from './token-buffer.ts';
import type { Utf8Text } from './utf8-text.ts';

/** Longer pieces are rare, and would fill the memory that short ones use well. */
const MAX_REMEMBERED_BYTES = 128;
const FIRST_PIECES = 1 << 11;
/** When so many are remembered all are forgotten: what is frequent is soon there again. */
const MAX_PIECES = 1 << 17;

/** Makes ids of one piece. */
export interface PieceMerger {
  /** Writes the ids of `bytes[start..start + length)` to `ids[first..)`, where there is room for one a byte. @returns how many */
  merge(bytes: Uint8Array, start: number, length: number, ids: Int32Array, first: number): number;
}

/** Merges within a piece of bytes, each of which is a token. */
export class ByteMerger implements PieceMerger {
  private readonly idOfByte: Int32Array;
  private readonly merges: MergeTable;

  /** @param idOfByte the id of each byte */
  constructor(idOfByte: Int32Array, merges: MergeTable) {
    this.idOfByte = idOfByte;
    this.merges = merges;
  }

  merge(bytes: Uint8Array, start: number, length: number, ids: Int32Array, first: number): number {
    const { idOfByte } = this;
    for (let i = 0; i < length; i++) ids[first + i] = idOfByte[bytes[start + i]!]!;
    return this.merges.apply(ids, first, length);
  }
}

export class PieceEncoder {
  private readonly splitter: Splitter;
  private readonly merger: PieceMerger;
  /** value of a piece: its one id, or the complement of the place in `lists` where the number of ids stands, then the ids */
  private readonly seen = new PieceTable(FIRST_PIECES);
  private readonly whole: ReadonlyMap<string, number> | undefined;
  private lists = new Int32Array(1 << 12);
  private listsLength = 0;

  /** @param whole ids of tokens that win over merges where a piece is equal to them, by their bytes as Latin-1 */
  constructor(splitter: Splitter, merger: PieceMerger, whole?: ReadonlyMap<string, number>) {
    this.splitter = splitter;
    this.merger = merger;
    this.whole = whole;
  }

  /** Appends the ids of `text` to `out`. */
  encode(text: Utf8Text, out: TokenBuffer): void {
    const { splitter, seen } = this;
    const { bytes, length: end } = text;
    splitter.begin(bytes, end);
    for (let at = 0; at < end; ) {
      const next = splitter.pieceEnd(bytes, at, end);
      const place = seen.find(text, at, next - at);
      const value = place >= 0 ? seen.valueAt(place) : this.learn(text, at, next - at, place);
      if (value >= 0) out.push(value);
      else this.pushList(~value, out);
      at = next;
    }
  }

  private pushList(at: number, out: TokenBuffer): void {
    const count = this.lists[at]!;
    out.reserve(count);
    const { ids } = out;
    let { length } = out;
    for (let i = at + 1; i <= at + count; i++) ids[length++] = this.lists[i]!;
    out.length = length;
  }

  /** Merges a piece that is new, and remembers it. @returns its value; a list that is not remembered stands until the next call */
  private learn(text: Utf8Text, start: number, length: number, place: number): number {
    const value = this.valueOf(text, start, length);
    if (length > MAX_REMEMBERED_BYTES) return value;
    const { seen } = this;
    if (seen.isFull) {
      if (seen.capacity < MAX_PIECES) seen.grow();
      else {
        seen.clear();
        return this.startAnew(text, start, length);
      }
      place = seen.find(text, start, length);
    }
    seen.insert(text, start, length, place, value);
    if (value < 0) this.listsLength = ~value + 1 + this.lists[~value]!;
    return value;
  }

  private startAnew(text: Utf8Text, start: number, length: number): number {
    this.listsLength = 0;
    return this.learn(text, start, length, this.seen.find(text, start, length));
  }

  private valueOf({ bytes }: Utf8Text, start: number, length: number): number {
    const { whole } = this;
    if (whole) {
      const id = whole.get(Buffer.from(bytes.buffer, start, length).toString('latin1'));
      if (id !== undefined) return id;
    }
    this.reserveList(length + 1);
    const { lists } = this;
    const first = this.listsLength + 1;
    const count = this.merger.merge(bytes, start, length, lists, first);
    if (count === 1) return lists[first]!;
    lists[this.listsLength] = count;
    return ~this.listsLength;
  }

  private reserveList(more: number): void {
    const needed = this.listsLength + more;
    if (needed <= this.lists.length) return;
    const grown = new Int32Array(Math.max(needed, this.lists.length * 2));
    grown.set(this.lists.subarray(0, this.listsLength));
    this.lists = grown;
  }
}
