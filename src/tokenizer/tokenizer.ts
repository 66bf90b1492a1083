/**
 * What a tokenizer is: text to ids and back. Three kinds implement it, byte-level BPE (bpe-tokenizer.ts), BPE as SentencePiece has it
 * (spm-tokenizer.ts) and one token per character (char-tokenizer.ts); all are plain values that a worker thread rebuilds from their JSON.
 */
import type { TokenBuffer } from './token-buffer.ts';
import type { TokenizerJson } from './tokenizer-json.ts';

export interface EncodeOptions {
  /**
   * `none` (default): the text of a special token is ordinary text, so what users type never becomes a control token.
   * `all`: it becomes the special token. Only for text that is trusted.
   */
  readonly allowedSpecial?: 'none' | 'all';
  /** put {@link Tokenizer.prefixIds} before and {@link Tokenizer.suffixIds} after; default false */
  readonly addSpecialTokens?: boolean;
  /** the text follows other tokens, so it is not given a space that only the beginning has; default false */
  readonly continues?: boolean;
}

export interface DecodeOptions {
  /** leave special tokens out instead of writing their text; default false */
  readonly skipSpecialTokens?: boolean;
}

export interface Tokenizer {
  /** one more than the largest id */
  readonly vocabSize: number;
  /** the id of the token that ends every document */
  readonly endOfTextId: number;
  /** the id of the token that begins a text, where the vocabulary has one */
  readonly beginOfTextId?: number | undefined;
  /** what models of this vocabulary expect before every text, such as the token that begins it; mostly none */
  readonly prefixIds: readonly number[];
  /** as {@link prefixIds}, after every text */
  readonly suffixIds: readonly number[];
  /** text of each special token -> its id */
  readonly specialTokens: ReadonlyMap<string, number>;

  /** The ids of `text`. A lone surrogate counts as U+FFFD, as everywhere in UTF-8. */
  encode(text: string, options?: EncodeOptions): Int32Array;

  /**
   * Appends the ids of `text` to `out`, special tokens as ordinary text: {@link encode} without an array a text.
   * @param text a string, or bytes that are UTF-8; bytes that are not give ids of those bytes, or unknown ones
   */
  encodeInto(text: string | Uint8Array, out: TokenBuffer): void;

  /**
   * The first place at or after `from` where the text in UTF-8 may be cut, so that the ids of the parts, one after the other, are
   * those of the whole; its length where there is none. `from` may stand within a character.
   */
  safeCut(bytes: Uint8Array, from: number): number;

  /** The text of `ids`; bytes that are not UTF-8 become U+FFFD, ids that name no token become nothing. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;

  /** The UTF-8 bytes token `id` stands for, a copy; empty for an id that names no token. */
  tokenBytes(id: number): Uint8Array;

  /** The content of tokenizer.json; `parseTokenizer` turns it back into an equal tokenizer. */
  toJSON(): TokenizerJson;
}

export const END_OF_TEXT = '<|endoftext|>';
export const IM_START = '<|im_start|>';
export const IM_END = '<|im_end|>';
export const PAD = '<|pad|>';

/** The special tokens of a vocabulary trained here, in the order of their ids: the end of a document, then chat. */
export const DEFAULT_SPECIAL_TOKENS: readonly string[] = [END_OF_TEXT, IM_START, IM_END, PAD];

/** `text` with every lone surrogate as U+FFFD: what its UTF-8 bytes say. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}
