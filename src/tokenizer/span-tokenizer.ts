/**
 * What byte-level BPE and SentencePiece-style BPE share: added tokens are found first, what stands between them is normalised and
 * encoded by the kind; ids that begin and end a text; decoding.
 */
import { type AddedToken, AddedTokens, type SpanVisitor } from './added-tokens.ts';
import { type NormalizerStep, normalized } from './normalizer.ts';
import { TokenBuffer } from './token-buffer.ts';
import type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer.ts';
import { wellFormed } from './tokenizer.ts';
import type { TokenizerJson } from './tokenizer-json.ts';
import { characterStart } from './utf8-text.ts';
import { Vocabulary } from './vocabulary.ts';

/** What every such tokenizer is made of. */
export interface SpanModel {
  readonly addedTokens: readonly AddedToken[];
  readonly endOfTextId: number;
  /** the token that begins a text, where there is one */
  readonly beginOfTextId?: number;
  /** put before every text by `addSpecialTokens`; default none */
  readonly prefixIds?: readonly number[];
  /** put after every text by `addSpecialTokens`; default none */
  readonly suffixIds?: readonly number[];
  /** done to what stands between added tokens; default nothing */
  readonly normalizer?: readonly NormalizerStep[];
}

export abstract class SpanTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly endOfTextId: number;
  readonly beginOfTextId: number | undefined;
  readonly prefixIds: readonly number[];
  readonly suffixIds: readonly number[];
  readonly specialTokens: ReadonlyMap<string, number>;
  protected readonly vocabulary: Vocabulary;
  private readonly added: AddedTokens;
  private readonly normalizer: readonly NormalizerStep[];
  private readonly out = new TokenBuffer();

  /** @param tokens bytes of each id, added tokens included; undefined where an id names no token */
  constructor(model: SpanModel, tokens: readonly (Uint8Array | undefined)[]) {
    const special = model.addedTokens.filter((token) => token.special);
    this.vocabSize = tokens.length;
    this.endOfTextId = model.endOfTextId;
    this.beginOfTextId = model.beginOfTextId;
    this.prefixIds = model.prefixIds ?? [];
    this.suffixIds = model.suffixIds ?? [];
    this.specialTokens = new Map(special.map((token) => [token.content, token.id]));
    this.vocabulary = new Vocabulary(tokens, this.specialTokens.values());
    this.normalizer = model.normalizer ?? [];
    this.added = new AddedTokens(model.addedTokens, (text) => normalized(this.normalizer, text));
  }

  /** Appends the ids of a text without added tokens, normalised. @param isFirst the whole text begins with it */
  protected abstract encodeSpan(span: string | Uint8Array, out: TokenBuffer, isFirst: boolean): void;

  /** A place as {@link safeCut} finds it, of a text without added tokens and normalizers. `from` is the start of a character. */
  protected abstract spanCut(bytes: Uint8Array, from: number): number;

  abstract toJSON(): TokenizerJson;

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const { out } = this;
    out.clear();
    if (options.addSpecialTokens) for (const id of this.prefixIds) out.push(id);
    const allowSpecial = options.allowedSpecial === 'all';
    if (allowSpecial || options.continues) this.encodeSpans(text, out, allowSpecial, !options.continues);
    else this.encodeInto(text, out);
    if (options.addSpecialTokens) for (const id of this.suffixIds) out.push(id);
    const ids = out.slice();
    out.shrink();
    return ids;
  }

  encodeInto(text: string | Uint8Array, out: TokenBuffer): void {
    if (this.added.hasOrdinary || this.normalizer.length > 0) {
      this.encodeSpans(typeof text === 'string' ? text : textOf(text), out, false);
    } else if (text.length > 0) this.encodeSpan(text, out, true);
  }

  safeCut(bytes: Uint8Array, from: number): number {
    const keepsLength = this.normalizer.length === 0;
    if (this.normalizer.some((step) => step.type === 'Prepend' || step.type === 'Replace'))
      return bytes.length;
    for (let at = characterStart(bytes, from); ; at = characterStart(bytes, at + 1)) {
      at = this.spanCut(bytes, at);
      if (at >= bytes.length) return bytes.length;
      // Nothing before an ASCII character is composed with it.
      if ((keepsLength || bytes[at]! < 0x80) && !this.added.mayCross(bytes, at)) return at;
    }
  }

  decode(ids: ArrayLike<number>, options?: DecodeOptions): string {
    return this.vocabulary.decode(ids, options);
  }

  tokenBytes(id: number): Uint8Array {
    return this.vocabulary.tokenBytes(id);
  }

  private encodeSpans(text: string, out: TokenBuffer, allowSpecial: boolean, isFirst = true): void {
    const visitor: SpanVisitor = {
      text: (span, first) => this.encodeSpan(span, out, first),
      token: (id) => out.push(id),
    };
    this.added.visit(wellFormed(text), allowSpecial, visitor, isFirst);
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}
