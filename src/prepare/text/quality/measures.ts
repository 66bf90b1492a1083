/** What the rules of quality count: lines, words, repeated n-grams. */
import { gramHash } from '../words.ts';

/** Words as the papers' tools see them: separated by white space. */
export function whitespaceWords(text: string): string[] {
  return text.match(/\S+/g) ?? [];
}

/** Lines that are not blank, trimmed. */
export function trimmedLines(text: string): string[] {
  return text.split('\n').flatMap((line) => line.trim() || []);
}

/** How much of `pieces` was seen before among them: as a share of their number and of their characters. */
export function duplicateShares(pieces: readonly string[]): { pieces: number; characters: number } {
  const seen = new Set<string>();
  let [repeated, repeatedCharacters, characters] = [0, 0, 0];
  for (const piece of pieces) {
    characters += piece.length;
    if (seen.has(piece)) {
      repeated++;
      repeatedCharacters += piece.length;
    } else seen.add(piece);
  }
  return {
    pieces: pieces.length === 0 ? 0 : repeated / pieces.length,
    characters: characters === 0 ? 0 : repeatedCharacters / characters,
  };
}

/** The words of a text as hashes and lengths, for n-grams. */
export interface WordTable {
  readonly hashes: Uint32Array;
  readonly lengths: Uint32Array;
  readonly count: number;
  /** the characters of all words */
  readonly characters: number;
}

/**
 * The share of the words' characters that the most frequent n-gram covers: its occurrences times its length, as in Gopher's
 * rule of the top n-gram (0 where no n-gram occurs twice).
 */
export function topGramShare({ hashes, lengths, count, characters }: WordTable, size: number): number {
  const table = new GramTable(count);
  let [best, bestLength] = [1, 0];
  for (let i = 0; i + size <= count; i++) {
    const occurrences = table.add(gramHash(hashes, i, size));
    const length = sum(lengths, i, i + size);
    if (occurrences > best || (occurrences === best && occurrences > 1 && length > bestLength)) {
      [best, bestLength] = [occurrences, length];
    }
  }
  return best < 2 || characters === 0 ? 0 : Math.min(1, (best * bestLength) / characters);
}

/** The share of the words' characters within n-grams that were seen before; a character is counted once. */
export function duplicateGramShare({ hashes, lengths, count, characters }: WordTable, size: number): number {
  const table = new GramTable(count);
  let covered = 0;
  let coveredEnd = 0;
  for (let i = 0; i + size <= count; i++) {
    if (table.add(gramHash(hashes, i, size)) === 1) continue;
    covered += sum(lengths, Math.max(i, coveredEnd), i + size);
    coveredEnd = i + size;
  }
  return characters === 0 ? 0 : covered / characters;
}

function sum(values: Uint32Array, start: number, end: number): number {
  let total = 0;
  for (let i = start; i < end; i++) total += values[i]!;
  return total;
}

/** Counts of hashes by open addressing. */
class GramTable {
  private readonly keys: Int32Array;
  private readonly counts: Uint32Array;
  private readonly mask: number;

  constructor(size: number) {
    this.mask = 2 ** Math.ceil(Math.log2(size * 1.5 + 2)) - 1;
    this.keys = new Int32Array(this.mask + 1);
    this.counts = new Uint32Array(this.mask + 1);
  }

  /** @returns how often `key` was added, this time too */
  add(key: number): number {
    let slot = key & this.mask;
    while (this.counts[slot]! > 0 && this.keys[slot] !== key) slot = (slot + 1) & this.mask;
    this.keys[slot] = key;
    return ++this.counts[slot]!;
  }
}
