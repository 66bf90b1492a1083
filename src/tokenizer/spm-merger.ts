/**
 * Merging as SentencePiece's BPE does it: symbols are characters, the pair whose text is the token of the highest score is merged first,
 * the leftmost where scores are equal; a character without a token is its bytes' tokens, or the unknown one.
 * Source: google/sentencepiece bpe_model.cc; the ties as in llama.cpp. Control tokens are never the result of a merge.
 */
import { MergeTable } from './merge-table.ts';
import type { PieceMerger } from './piece-encoder.ts';

/** What merging needs of a vocabulary; texts have spaces as they are, not as U+2581. */
export interface Symbols {
  /** text of the ids that text may become; undefined for others */
  readonly texts: readonly (string | undefined)[];
  /** the id of each byte's token, or -1 */
  readonly byteIds: Int32Array;
  /** what a character without tokens becomes; none where undefined */
  readonly unknownId?: number;
  /** several unknown characters one behind the other are one unknown token */
  readonly fusesUnknown: boolean;
}

/** Merges by rank, and the characters that stand in them without being a token. */
export interface SymbolMerges {
  /** three numbers a merge: left id, right id, id of the result */
  readonly merges: Int32Array;
  readonly ranks?: Int32Array;
  /** characters whose ids are those after the vocabulary's */
  readonly extra: readonly string[];
}

/** The id of each text; of two that are equal the first. */
export function idsOfTexts(texts: readonly (string | undefined)[]): Map<string, number> {
  const ids = new Map<string, number>();
  texts.forEach((text, id) => {
    if (text !== undefined && !ids.has(text)) ids.set(text, id);
  });
  return ids;
}

/** All pairs of tokens or characters whose text is a token, by the score of that token. */
export function mergesOfScores(
  texts: readonly (string | undefined)[],
  scores: ArrayLike<number>,
): SymbolMerges {
  const ids = idsOfTexts(texts);
  const extra = new Map<string, number>();
  const idOf = (text: string, isCharacter: boolean) => {
    const id = ids.get(text) ?? extra.get(text);
    if (id !== undefined || !isCharacter) return id;
    extra.set(text, texts.length + extra.size);
    return texts.length + extra.size - 1;
  };
  const order = [...ids].sort(([, a], [, b]) => scores[b]! - scores[a]! || a - b);
  const merges: number[] = [];
  const ranks: number[] = [];
  for (const [text, id] of order) {
    const last = ranks.length > 0 ? merges.at(-1)! : undefined;
    const rank = last === undefined ? 0 : ranks.at(-1)! + (scores[last] === scores[id] ? 0 : 1);
    const characters = [...text];
    for (let cut = 1, at = 0; cut < characters.length; cut++) {
      at += characters[cut - 1]!.length;
      const left = idOf(text.slice(0, at), cut === 1);
      const right = left === undefined ? undefined : idOf(text.slice(at), cut === characters.length - 1);
      if (right === undefined) continue;
      merges.push(left!, right, id);
      ranks.push(rank);
    }
  }
  return { merges: Int32Array.from(merges), ranks: Int32Array.from(ranks), extra: [...extra.keys()] };
}

const NOT_A_TOKEN = -1;

export class SymbolMerger implements PieceMerger {
  private readonly symbols: Symbols;
  private readonly table: MergeTable;
  private readonly idOfCodePoint: Int32Array;
  /** bytes of the characters whose ids are those after the vocabulary's */
  private readonly extra: readonly Uint8Array[];

  constructor(symbols: Symbols, { merges, ranks, extra }: SymbolMerges) {
    this.symbols = symbols;
    this.table = MergeTable.of(merges, ranks);
    this.extra = extra.map((char) => new TextEncoder().encode(char));
    const single = new Map<number, number>();
    for (const [text, id] of idsOfTexts([...symbols.texts, ...extra])) {
      const codePoint = text.codePointAt(0);
      if (codePoint !== undefined && text.length === (codePoint > 0xffff ? 2 : 1)) single.set(codePoint, id);
    }
    const most = [...single.keys()].reduce((a, b) => Math.max(a, b), 0);
    this.idOfCodePoint = new Int32Array(most + 1).fill(NOT_A_TOKEN);
    for (const [codePoint, id] of single) this.idOfCodePoint[codePoint] = id;
  }

  merge(bytes: Uint8Array, start: number, length: number, ids: Int32Array, first: number): number {
    const end = start + length;
    let count = 0;
    let afterUnknown = false;
    for (let at = start; at < end; ) {
      const width = characterWidth(bytes, at, end);
      const id = this.idOfCodePoint[codePointAt(bytes, at, width)] ?? NOT_A_TOKEN;
      if (id !== NOT_A_TOKEN) ids[first + count++] = id;
      else if (!this.pushBytes(bytes, at, width, ids, first + count)) {
        const { unknownId, fusesUnknown } = this.symbols;
        if (unknownId !== undefined && !(fusesUnknown && afterUnknown)) ids[first + count++] = unknownId;
        afterUnknown = true;
        at += width;
        continue;
      } else count += width;
      afterUnknown = false;
      at += width;
    }
    const merged = this.table.apply(ids, first, count);
    return this.extra.length === 0 ? merged : this.expand(ids, first, merged);
  }

  /** The tokens of the bytes of one character. @returns whether all have one */
  private pushBytes(bytes: Uint8Array, at: number, width: number, ids: Int32Array, place: number): boolean {
    for (let i = 0; i < width; i++) {
      const id = this.symbols.byteIds[bytes[at + i]!]!;
      if (id === NOT_A_TOKEN) return false;
      ids[place + i] = id;
    }
    return true;
  }

  /** Puts bytes' tokens where characters are left that are no token of their own. */
  private expand(ids: Int32Array, first: number, count: number): number {
    const { texts, unknownId } = this.symbols;
    const left = Array.from(ids.subarray(first, first + count));
    if (left.every((id) => id < texts.length)) return count;
    const expanded = left.flatMap((id) => {
      if (id < texts.length) return [id];
      const byteIds = Array.from(this.extra[id - texts.length]!, (byte) => this.symbols.byteIds[byte]!);
      if (!byteIds.includes(NOT_A_TOKEN)) return byteIds;
      return unknownId === undefined ? [] : [unknownId];
    });
    ids.set(expanded, first);
    return expanded.length;
  }
}

/** Bytes of the character at `at`; 1 for what is no UTF-8. */
function characterWidth(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!;
  const width = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  if (at + width > end) return 1;
  for (let i = 1; i < width; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return 1;
  return width;
}

function codePointAt(bytes: Uint8Array, at: number, width: number): number {
  const lead = bytes[at]!;
  if (width === 1) return lead < 0x80 ? lead : NOT_A_TOKEN;
  let codePoint = lead & (0x7f >> width);
  for (let i = 1; i < width; i++) codePoint = (codePoint << 6) | (bytes[at + i]! & 63);
  return codePoint;
}
