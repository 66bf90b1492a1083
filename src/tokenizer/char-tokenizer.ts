/**
 * One token per character (Unicode code point) seen in training; any other character is the unknown token.
 * The reference point of small experiments (tinyshakespeare: 65 characters), where loss per token is loss per character.
 */
import { patternOfAny } from './added-tokens.ts';
import { TokenBuffer } from './token-buffer.ts';
import type { DecodeOptions, EncodeOptions, Tokenizer } from './tokenizer.ts';
import { END_OF_TEXT, wellFormed } from './tokenizer.ts';
import { charJson, type TokenizerJson } from './tokenizer-json.ts';
import { characterStart } from './utf8-text.ts';
import { Vocabulary } from './vocabulary.ts';

export const UNKNOWN = '<unk>';

export class CharTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly endOfTextId: number;
  readonly unknownId: number;
  readonly prefixIds: readonly number[] = [];
  readonly suffixIds: readonly number[] = [];
  readonly specialTokens: ReadonlyMap<string, number>;
  private readonly characters: readonly string[];
  private readonly vocabulary: Vocabulary;
  private readonly idOfCodePoint: Int32Array;
  private readonly specialPattern: RegExp;

  /**
   * @param characters the character of each id from 0
   * @param specialTokens ids follow the characters'; must hold `<unk>` (decoded as U+FFFD) and `<|endoftext|>`
   */
  constructor(characters: readonly string[], specialTokens: ReadonlyMap<string, number>) {
    this.characters = characters;
    this.specialTokens = specialTokens;
    this.vocabSize = characters.length + specialTokens.size;
    this.endOfTextId = specialTokens.get(END_OF_TEXT)!;
    this.unknownId = specialTokens.get(UNKNOWN)!;
    const encoder = new TextEncoder();
    const tokens = characters.map((char) => encoder.encode(char));
    for (const [text, id] of specialTokens) tokens[id] = encoder.encode(text === UNKNOWN ? '\ufffd' : text);
    this.vocabulary = new Vocabulary(tokens, specialTokens.values());
    const codePoints = characters.map((char) => char.codePointAt(0)!);
    this.idOfCodePoint = new Int32Array(1 + codePoints.reduce((a, b) => Math.max(a, b), 0)).fill(
      this.unknownId,
    );
    codePoints.forEach((codePoint, id) => {
      this.idOfCodePoint[codePoint] = id;
    });
    this.specialPattern = patternOfAny([...specialTokens.keys()])!;
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const out = new TokenBuffer(text.length);
    let start = 0;
    for (const match of options.allowedSpecial === 'all' ? text.matchAll(this.specialPattern) : []) {
      this.encodeInto(text.slice(start, match.index), out);
      out.push(this.specialTokens.get(match[0])!);
      start = match.index + match[0].length;
    }
    this.encodeInto(text.slice(start), out);
    return out.slice();
  }

  encodeInto(text: string | Uint8Array, out: TokenBuffer): void {
    const span =
      typeof text === 'string'
        ? wellFormed(text)
        : new TextDecoder('utf-8', { ignoreBOM: true }).decode(text);
    for (const char of span) out.push(this.idOfCodePoint[char.codePointAt(0)!] ?? this.unknownId);
  }

  safeCut(bytes: Uint8Array, from: number): number {
    return characterStart(bytes, from);
  }

  decode(ids: ArrayLike<number>, options?: DecodeOptions): string {
    return this.vocabulary.decode(ids, options);
  }

  tokenBytes(id: number): Uint8Array {
    return this.vocabulary.tokenBytes(id);
  }

  toJSON(): TokenizerJson {
    return charJson(this.characters, this.specialTokens, UNKNOWN);
  }
}

/** The character-level tokenizer of `texts`: their code points in order, then `<unk>`, then `<|endoftext|>`. */
export function trainChar(texts: Iterable<string>): CharTokenizer {
  const seen = new Set<string>();
  for (const text of texts) for (const char of wellFormed(text)) seen.add(char);
  const characters = [...seen].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
  const specialTokens = new Map([
    [UNKNOWN, characters.length],
    [END_OF_TEXT, characters.length + 1],
  ]);
  return new CharTokenizer(characters, specialTokens);
}
