/**
 * BPE as SentencePiece has it, the tokenizer of Llama 2, Mistral, Mixtral and Gemma: no split pattern; spaces are part of tokens
 * (U+2581 in files, a space here); a text mostly begins with a space that is not its own, and decoding takes it away.
 *
 * Where no token holds a space after another character, no merge crosses such a place. Text is then encoded word by word, and words
 * are remembered as in byte-level BPE; otherwise all of a text is one piece.
 */
import { PieceEncoder } from './piece-encoder.ts';
import { type SpanModel, SpanTokenizer } from './span-tokenizer.ts';
import { Splitter } from './split.ts';
import { spmJson } from './spm-json.ts';
import { mergesOfScores, SymbolMerger, type SymbolMerges } from './spm-merger.ts';
import type { TokenBuffer } from './token-buffer.ts';
import type { DecodeOptions } from './tokenizer.ts';
import type { TokenizerJson } from './tokenizer-json.ts';
import { Utf8Text } from './utf8-text.ts';

/** What such a tokenizer is made of. */
export interface SpmModel extends SpanModel {
  /** text of each id, added tokens included, a space for U+2581; bytes' tokens by their name; undefined where an id names no token */
  readonly tokens: readonly (string | undefined)[];
  /** the id of each byte's token, or -1 */
  readonly byteIds: Int32Array;
  /** the score of each id; or {@link merges} */
  readonly scores?: Float64Array;
  /** three numbers a merge, in the order of rank: left id, right id, id of the result */
  readonly merges?: Int32Array;
  readonly unknownId?: number;
  /** several unknown characters one behind the other are one unknown token */
  readonly fusesUnknown: boolean;
  /** what is given a space at its beginning: every text between added tokens, the first text, or none */
  readonly spacePrefix: 'always' | 'first' | 'never';
  /** a text that begins with a space is not given another */
  readonly keepsSpace: boolean;
  /** every space begins a piece of its own, within which merges stay */
  readonly splitsAtSpaces: boolean;
  /** decoding takes one space from the beginning */
  readonly dropsSpace: boolean;
}

const SPACE = 0x20;
/** U+2581, as files and SentencePiece write a space. */
export const SPACE_MARK = '\u2581';
const SPACE_MARK_BYTES = Buffer.from(SPACE_MARK);

export class SpmTokenizer extends SpanTokenizer {
  /** what it is made of */
  readonly model: SpmModel;
  /** the merges by rank */
  readonly symbolMerges: SymbolMerges;
  /** whether a span is given its space here, not before added tokens are sought */
  private readonly givesSpaces: boolean;
  private readonly splitter: SpaceSplitter;
  private readonly encoder: PieceEncoder;
  private readonly text = new Utf8Text();

  /** @param model with scores or merges */
  constructor(model: SpmModel) {
    super(withPrefixSought(model), bytesOfTokens(model));
    this.model = model;
    this.givesSpaces = !seeksNormalized(model);
    const texts = mergeableTexts(model);
    this.symbolMerges = model.scores
      ? mergesOfScores(texts, model.scores)
      : { merges: model.merges ?? new Int32Array(0), extra: [] };
    const crosses =
      model.tokens.some((text, id) => texts[id] !== undefined && /[^ ] /.test(text!)) || !texts.includes(' ');
    this.splitter = new SpaceSplitter(model.splitsAtSpaces ? 'spaces' : crosses ? 'nothing' : 'words');
    this.encoder = new PieceEncoder(this.splitter, new SymbolMerger({ ...model, texts }, this.symbolMerges));
  }

  override decode(ids: ArrayLike<number>, options?: DecodeOptions): string {
    const text = super.decode(ids, options);
    return this.model.dropsSpace && text.startsWith(' ') ? text.slice(1) : text;
  }

  toJSON(): TokenizerJson {
    return spmJson(this.model, this.symbolMerges);
  }

  protected encodeSpan(span: string | Uint8Array, out: TokenBuffer, isFirst: boolean): void {
    const { spacePrefix, keepsSpace } = this.model;
    const begins = this.givesSpaces && (spacePrefix === 'always' || (spacePrefix === 'first' && isFirst));
    this.text.set(span, begins && !(keepsSpace && beginsWithSpace(span)) ? 1 : 0);
    if (this.text.bytes.subarray(0, this.text.length).includes(SPACE_MARK_BYTES[0]!)) replaceMarks(this.text);
    this.encoder.encode(this.text, out);
    this.text.shrink();
  }

  protected spanCut(bytes: Uint8Array, from: number): number {
    const { spacePrefix, keepsSpace } = this.model;
    // The second part would be given a space.
    if (spacePrefix !== 'never' && !keepsSpace) return bytes.length;
    return this.splitter.safeCut(bytes, from, bytes.length);
  }
}

/**
 * Whether added tokens are sought in normalised text that has its space already: in Hugging Face's `Prepend`, where a text gets the
 * space before they are sought, and so does what is sought.
 */
function seeksNormalized({ addedTokens, spacePrefix, keepsSpace }: SpmModel): boolean {
  return spacePrefix === 'always' && !keepsSpace && addedTokens.some((token) => token.normalized);
}

function withPrefixSought(model: SpmModel): SpmModel {
  if (!seeksNormalized(model)) return model;
  const marks = { type: 'Replace', pattern: { String: SPACE_MARK }, content: ' ' } as const;
  return { ...model, normalizer: [...(model.normalizer ?? []), marks, { type: 'Prepend', prepend: ' ' }] };
}

/** Texts that ordinary text may become, by id. */
function mergeableTexts(model: SpmModel): (string | undefined)[] {
  const texts = [...model.tokens];
  for (const token of model.addedTokens) if (token.special || model.scores) texts[token.id] = undefined;
  for (const id of model.byteIds) if (id >= 0) texts[id] = undefined;
  return texts;
}

function bytesOfTokens(model: SpmModel): (Uint8Array | undefined)[] {
  const { tokens, byteIds } = model;
  const encoder = new TextEncoder();
  const bytes = tokens.map((text) => (text === undefined ? undefined : encoder.encode(text)));
  // What was found with a space is that space too.
  for (const { id, content, normalized } of seeksNormalized(model) ? model.addedTokens : []) {
    if (normalized) bytes[id] = encoder.encode(` ${content}`);
  }
  byteIds.forEach((id, byte) => {
    if (id >= 0) bytes[id] = Uint8Array.of(byte);
  });
  return bytes;
}

function beginsWithSpace(span: string | Uint8Array): boolean {
  if (typeof span === 'string') return span.startsWith(' ') || span.startsWith(SPACE_MARK);
  return span[0] === SPACE || SPACE_MARK_BYTES.every((byte, i) => span[i] === byte);
}

/** U+2581 in a text is a space. */
function replaceMarks(text: Utf8Text): void {
  const { bytes } = text;
  let kept = 0;
  for (let at = 0; at < text.length; at++) {
    if (SPACE_MARK_BYTES.every((byte, i) => at + i < text.length && bytes[at + i] === byte)) {
      bytes[kept++] = SPACE;
      at += 2;
    } else bytes[kept++] = bytes[at]!;
  }
  text.length = kept;
}

/** Pieces that begin with a space: with the first of several (`words`), with each (`spaces`); or all of the text (`nothing`). */
class SpaceSplitter extends Splitter {
  private readonly where: 'words' | 'spaces' | 'nothing';

  constructor(where: 'words' | 'spaces' | 'nothing') {
    super();
    this.where = where;
  }

  pieceEnd(bytes: Uint8Array, start: number, end: number): number {
    if (this.where === 'nothing') return end;
    let at = start + 1;
    if (this.where === 'words') while (at < end && bytes[at] === SPACE && bytes[at - 1] === SPACE) at++;
    while (at < end && bytes[at] !== SPACE) at++;
    return at;
  }

  override safeCut(bytes: Uint8Array, from: number, end: number): number {
    if (this.where === 'nothing') return end;
    for (let at = Math.max(from, 1); at < end; at++) {
      if (bytes[at] === SPACE && bytes[at - 1] !== SPACE && !endsWithMark(bytes, at)) return at;
    }
    return end;
  }
}

function endsWithMark(bytes: Uint8Array, at: number): boolean {
  return at >= 3 && SPACE_MARK_BYTES.every((byte, i) => bytes[at - 3 + i] === byte);
}
