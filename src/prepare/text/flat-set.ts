/**
 * A set of 53-bit hashes in one typed array (open addressing, at most half full), so that it can lie in a summary and be asked there without being
 * built again in each thread. Hashes of text pieces, and of runs of words, that fit it.
 */
import { gramHash, mixed } from './words.ts';

const EMPTY = -1;

/** The table of a set with these members. */
export function flatSet(members: Iterable<number>, size: number): Float64Array {
  const table = new Float64Array(2 ** Math.ceil(Math.log2(size * 2 + 2))).fill(EMPTY);
  for (const member of members) table[slotOf(table, member)] = member;
  return table;
}

export function flatSetHas(table: Float64Array, member: number): boolean {
  return table[slotOf(table, member)] === member;
}

/** The slot that holds `member`, or the empty one where it would stand. */
function slotOf(table: Float64Array, member: number): number {
  const mask = table.length - 1;
  let slot = member % table.length;
  while (table[slot] !== EMPTY && table[slot] !== member) slot = (slot + 1) & mask;
  return slot;
}

/** 53 bits of the UTF-16 units `start..end`. */
export function pieceHash(text: string, start: number, end: number, seed = 0): number {
  let low = seed ^ 0x811c9dc5;
  let high = seed ^ 0x9e3779b1;
  for (let i = start; i < end; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul((high << 7) ^ (high >>> 25) ^ unit, 0x85ebca6b);
  }
  return joined(mixed(low), mixed(high));
}

/** 53 bits of a run of words. */
export function wideGramHash(words: Uint32Array, start: number, size: number): number {
  return joined(gramHash(words, start, size), gramHash(words, start, size, 0x5bd1e995));
}

function joined(low: number, high: number): number {
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}
