/**
 * Byte-level BPE: text is split into pieces, each piece is bytes, and known pairs are merged by rank.
 * How it is done at speed stands in piece-encoder.ts.
 * Source: Sennrich et al. 2016; byte level as in GPT-2 (Radford et al. 2019); reference openai/tiktoken.
 */
import { assert } from '../base/index.ts';
import { BYTES_IN_ID_ORDER } from './byte-alphabet.ts';
import { MergeTable } from './merge-table.ts';
import { PieceEncoder } from './piece-encoder.ts';
import { type SplitPattern, type Splitter, splitterOf } from './split.ts';
import { TokenBuffer } from './token-buffer.ts';
import type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer.ts';
import { bpeJson, type TokenizerJson } from './tokenizer-json.ts';
import { characterStart, Utf8Text } from './utf8-text.ts';
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

export class BpeTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly endOfTextId: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  private readonly model: BpeModel;
  private readonly vocabulary: Vocabulary;
  private readonly splitter: Splitter;
  private readonly encoder: PieceEncoder;
  private readonly specialPattern: RegExp | undefined;
  private readonly text = new Utf8Text();
  private readonly out = new TokenBuffer();

  /** @param model every single byte must be a token; `parseTokenizer` checks what comes from outside */
  constructor(model: BpeModel) {
    this.model = model;
    this.vocabSize = model.tokens.length;
    this.endOfTextId = model.endOfTextId;
    this.specialTokens = model.specialTokens;
    this.vocabulary = new Vocabulary(model.tokens, model.specialTokens.values());
    const merges = MergeTable.of(model.merges);
    const whole = model.ignoreMerges ? idsOfTokens(model) : undefined;
    this.splitter = splitterOf(model.pattern);
    this.encoder = new PieceEncoder(this.splitter, merges, idsOfBytes(model), whole);
    this.specialPattern = patternOfAny([...model.specialTokens.keys()]);
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const { out } = this;
    out.clear();
    if (options.allowedSpecial === 'all' && this.specialPattern) this.encodeWithSpecials(text, out);
    else this.encodeInto(text, out);
    const ids = out.slice();
    out.shrink();
    return ids;
  }

  encodeInto(text: string | Uint8Array, out: TokenBuffer): void {
    this.text.set(text);
    this.encoder.encode(this.text, out);
    this.text.shrink();
  }

  safeCut(bytes: Uint8Array, from: number): number {
    return this.splitter.safeCut(bytes, characterStart(bytes, from), bytes.length);
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

  private encodeWithSpecials(text: string, out: TokenBuffer): void {
    let start = 0;
    for (const match of text.matchAll(this.specialPattern!)) {
      if (match.index > start) this.encodeInto(text.slice(start, match.index), out);
      out.push(this.specialTokens.get(match[0])!);
      start = match.index + match[0].length;
    }
    this.encodeInto(text.slice(start), out);
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

/** Ordinary tokens by their bytes as Latin-1. */
function idsOfTokens(model: BpeModel): Map<string, number> {
  const special = new Set(model.specialTokens.values());
  const ids = new Map<string, number>();
  model.tokens.forEach((token, id) => {
    if (token && !special.has(id)) ids.set(Buffer.from(token).toString('latin1'), id);
  });
  return ids;
}
