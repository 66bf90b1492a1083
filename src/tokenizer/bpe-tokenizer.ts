/**
 * Byte-level BPE: text is split into pieces, each piece is bytes, and known pairs are merged by rank.
 * Most pieces repeat, so the ids of a piece are kept: encoding is then one scan and one lookup a piece.
 * Source: Sennrich et al. 2016; byte level as in GPT-2 (Radford et al. 2019); reference openai/tiktoken.
 */
import { assert } from '../base/index.ts';
import { BYTES_IN_ID_ORDER } from './byte-alphabet.ts';
import { MergeTable } from './merge-table.ts';
import { type PieceEnd, pieceEndOf, type SplitPattern } from './split.ts';
import type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer.ts';
import { bpeJson, type TokenizerJson } from './tokenizer-json.ts';
import { Vocabulary } from './vocabulary.ts';

/** What a byte-level BPE tokenizer is made of. */
export interface BpeModel {
  readonly pattern: SplitPattern;
  /** bytes of each id, special tokens included; undefined where an id names no token */
  readonly tokens: readonly (Uint8Array | undefined)[];
  /** three numbers a merge, in the order of rank: left id, right id, id of the result */
  readonly merges: Int32Array;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly endOfTextId: number;
  /** a piece that is a token as a whole is that token, whatever the merges say; default false */
  readonly ignoreMerges?: boolean;
}

/** Longer pieces are rare, and would fill the memory that short ones use well. */
const MAX_CACHED_PIECE_UNITS = 48;
/** Half of what is kept: when a generation is full it becomes the old one, and the old one is dropped. */
const CACHE_GENERATION_PIECES = 1 << 16;

type PieceIds = number | Int32Array;

export class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly endOfTextId: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  private readonly model: BpeModel;
  private readonly vocabulary: Vocabulary;
  private readonly table: MergeTable;
  private readonly pieceEnd: PieceEnd;
  private readonly idOfByte: Int32Array;
  private readonly idOfPiece: ReadonlyMap<string, number> | undefined;
  private readonly specialPattern: RegExp | undefined;
  private young = new Map<string, PieceIds>();
  private old = new Map<string, PieceIds>();
  private out = new Int32Array(1024);
  private outLength = 0;
  private pieceBytes = new Uint8Array(256);
  private pieceIds = new Int32Array(256);

  /** @param model every single byte must be a token; `parseTokenizer` checks what comes from outside */
  constructor(model: BpeModel) {
    this.model = model;
    this.vocabSize = model.tokens.length;
    this.endOfTextId = model.endOfTextId;
    this.specialTokens = model.specialTokens;
    this.vocabulary = new Vocabulary(model.tokens, model.specialTokens.values());
    this.table = new MergeTable(model.merges);
    this.pieceEnd = pieceEndOf(model.pattern);
    this.idOfByte = idsOfBytes(model);
    this.idOfPiece = model.ignoreMerges ? idsOfTokens(model) : undefined;
    this.specialPattern = patternOfAny([...model.specialTokens.keys()]);
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    this.outLength = 0;
    this.reserve(text.length / 3);
    if (options.allowedSpecial === 'all' && this.specialPattern) this.encodeWithSpecials(text);
    else this.encodeOrdinary(text, 0, text.length);
    const ids = this.out.slice(0, this.outLength);
    if (this.out.length > 1 << 22) this.out = new Int32Array(1024);
    return ids;
  }

  decode(ids: ArrayLike<number>, options?: DecodeOptions): string {
    return this.vocabulary.decode(ids, options);
  }

  tokenBytes(id: number): Uint8Array {
    return this.vocabulary.tokenBytes(id);
  }

  toJSON(): TokenizerJson {
    return bpeJson(this.model);
  }

  private encodeWithSpecials(text: string): void {
    let start = 0;
    for (const match of text.matchAll(this.specialPattern!)) {
      if (match.index > start) {
        const span = text.slice(start, match.index);
        this.encodeOrdinary(span, 0, span.length);
      }
      this.push(this.specialTokens.get(match[0])!);
      start = match.index + match[0].length;
    }
    const rest = text.slice(start);
    this.encodeOrdinary(rest, 0, rest.length);
  }

  private encodeOrdinary(text: string, start: number, end: number): void {
    const { pieceEnd } = this;
    while (start < end) {
      const next = pieceEnd(text, start);
      const piece = text.slice(start, next);
      const known = this.young.get(piece) ?? this.promote(piece) ?? this.encodePiece(piece);
      if (typeof known === 'number') this.push(known);
      else this.pushAll(known);
      start = next;
    }
  }

  /** Looks `piece` up among the older pieces and moves it to the young ones. */
  private promote(piece: string): PieceIds | undefined {
    const ids = this.old.get(piece);
    if (ids !== undefined) this.remember(piece, ids);
    return ids;
  }

  private remember(piece: string, ids: PieceIds): void {
    if (this.young.size >= CACHE_GENERATION_PIECES) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(piece, ids);
  }

  private encodePiece(piece: string): PieceIds {
    const whole = this.idOfPiece?.get(piece);
    const ids = whole ?? this.mergePiece(piece);
    // A slice keeps the whole document alive; a string built anew does not.
    if (piece.length <= MAX_CACHED_PIECE_UNITS)
      this.remember(Buffer.from(piece, 'utf16le').toString('utf16le'), ids);
    return ids;
  }

  private mergePiece(piece: string): PieceIds {
    if (this.pieceBytes.length < piece.length * 3) {
      this.pieceBytes = new Uint8Array(piece.length * 3);
      this.pieceIds = new Int32Array(piece.length * 3);
    }
    const { written } = new TextEncoder().encodeInto(piece, this.pieceBytes);
    for (let i = 0; i < written; i++) this.pieceIds[i] = this.idOfByte[this.pieceBytes[i]!]!;
    const count = this.table.apply(this.pieceIds, written);
    return count === 1 ? this.pieceIds[0]! : this.pieceIds.slice(0, count);
  }

  private push(id: number): void {
    if (this.outLength === this.out.length) this.reserve(this.outLength + 1);
    this.out[this.outLength++] = id;
  }

  private pushAll(ids: Int32Array): void {
    this.reserve(this.outLength + ids.length);
    for (let i = 0; i < ids.length; i++) this.out[this.outLength++] = ids[i]!;
  }

  private reserve(length: number): void {
    if (length <= this.out.length) return;
    const grown = new Int32Array(Math.ceil(Math.max(length, this.out.length * 1.5)));
    grown.set(this.out.subarray(0, this.outLength));
    this.out = grown;
  }
}

/** A pattern that finds any of `texts`, the longest first; undefined for none. */
export function patternOfAny(texts: readonly string[]): RegExp | undefined {
  if (texts.length === 0) return undefined;
  const longestFirst = [...texts].sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'), 'gu');
}

function idsOfBytes(model: BpeModel): Int32Array {
  const ids = new Int32Array(256).fill(-1);
  const special = new Set(model.specialTokens.values());
  model.tokens.forEach((token, id) => {
    if (token?.length === 1 && !special.has(id)) ids[token[0]!] = id;
  });
  for (const byte of BYTES_IN_ID_ORDER) assert(ids[byte]! >= 0, `byte ${byte} is a token`);
  return ids;
}

/** Tokens that are whole UTF-8 text, by that text. */
function idsOfTokens(model: BpeModel): Map<string, number> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const special = new Set(model.specialTokens.values());
  const ids = new Map<string, number>();
  model.tokens.forEach((token, id) => {
    if (!token || special.has(id)) return;
    try {
      ids.set(decoder.decode(token), id);
    } catch {
      // Part of a character: no piece of text is equal to it.
    }
  });
  return ids;
}
