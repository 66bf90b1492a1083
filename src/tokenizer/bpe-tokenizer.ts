/**
 * Byte-level BPE: text is split into pieces, each piece is bytes, and known pairs are merged by rank.
 * How it is done at speed stands in piece-encoder.ts.
 * Source: Sennrich et al. 2016; byte level as in GPT-2 (Radford et al. 2019); reference openai/tiktoken.
 */
import { assert } from '../base/index.ts';
import { BYTES_IN_ID_ORDER } from './byte-alphabet.ts';
import { MergeTable } from './merge-table.ts';
import { ByteMerger, PieceEncoder } from './piece-encoder.ts';
import { RegexSplitter, type SplitRule } from './regex-splitter.ts';
import { type SpanModel, SpanTokenizer } from './span-tokenizer.ts';
import { type SplitPattern, type Splitter, splitterOf } from './split.ts';
import type { TokenBuffer } from './token-buffer.ts';
import { bpeJson, type TokenizerJson } from './tokenizer-json.ts';
import { Utf8Text } from './utf8-text.ts';

/** What a byte-level BPE tokenizer is made of. */
export interface BpeModel extends SpanModel {
  /** a pattern with a scanner of its own, or rules one after the other */
  readonly pattern: SplitPattern | readonly SplitRule[];
  /** bytes of each id, added tokens included; undefined where an id names no token */
  readonly tokens: readonly (Uint8Array | undefined)[];
  /** three numbers a merge, in the order of rank: left id, right id, id of the result */
  readonly merges: Int32Array;
  /** ranks of the merges where some are equal: of those the leftmost is first; default: their places */
  readonly ranks?: Int32Array;
  /** a piece that is a token as a whole is that token, whatever the merges say; default false */
  readonly ignoreMerges?: boolean;
  /** a text that does not begin with a space is given one; default false */
  readonly addPrefixSpace?: boolean;
}

const SPACE = 0x20;

export class BpeTokenizer extends SpanTokenizer {
  /** what it is made of */
  readonly model: BpeModel;
  private readonly splitter: Splitter;
  private readonly encoder: PieceEncoder;
  private readonly text = new Utf8Text();

  /** @param model every single byte must be a token; `parseTokenizer` checks what comes from outside */
  constructor(model: BpeModel) {
    super(model, model.tokens);
    this.model = model;
    const merges = MergeTable.of(model.merges, model.ranks);
    const whole = model.ignoreMerges ? idsOfTokens(model) : undefined;
    this.splitter =
      typeof model.pattern === 'string' ? splitterOf(model.pattern) : new RegexSplitter(model.pattern);
    this.encoder = new PieceEncoder(this.splitter, new ByteMerger(idsOfBytes(model), merges), whole);
  }

  toJSON(): TokenizerJson {
    return bpeJson(this.model);
  }

  protected encodeSpan(span: string | Uint8Array, out: TokenBuffer): void {
    this.text.set(this.model.addPrefixSpace ? withSpace(span) : span);
    this.encoder.encode(this.text, out);
    this.text.shrink();
  }

  protected spanCut(bytes: Uint8Array, from: number): number {
    let at = this.splitter.safeCut(bytes, from, bytes.length);
    // What begins with a space is not given another.
    while (this.model.addPrefixSpace && at < bytes.length && bytes[at] !== SPACE) {
      at = this.splitter.safeCut(bytes, at, bytes.length);
      if (at < bytes.length && bytes[at] !== SPACE) at++;
    }
    return at;
  }
}

function withSpace(span: string | Uint8Array): string | Uint8Array {
  if (typeof span === 'string') return span.startsWith(' ') ? span : ` ${span}`;
  return span[0] === SPACE ? span : Buffer.concat([Uint8Array.of(SPACE), span]);
}

function idsOfBytes(model: BpeModel): Int32Array {
  const ids = new Int32Array(256).fill(-1);
  const special = addedIds(model);
  model.tokens.forEach((token, id) => {
    if (token?.length === 1 && !special.has(id)) ids[token[0]!] = id;
  });
  for (const byte of BYTES_IN_ID_ORDER) assert(ids[byte]! >= 0, `byte ${byte} is a token`);
  return ids;
}

/** Ordinary tokens by their bytes as Latin-1. */
function idsOfTokens(model: BpeModel): Map<string, number> {
  const special = addedIds(model);
  const ids = new Map<string, number>();
  model.tokens.forEach((token, id) => {
    if (token && !special.has(id)) ids.set(Buffer.from(token).toString('latin1'), id);
  });
  return ids;
}

function addedIds(model: BpeModel): Set<number> {
  return new Set(model.addedTokens.map((token) => token.id));
}
