/**
 * Splitting text into the pieces that BPE merges within: hand-written scanners over UTF-8, each equal to the regular
 * expression it is named after (split.test.ts runs both). Other patterns are run by the engine: regex-splitter.ts.
 * Every piece is found in time linear in what it reads, and what it reads beyond its end is one run of white space.
 *
 * The case-insensitive `s` of GPT-4's pattern also matches U+017F (long s), as in the original engines.
 */
import {
  BYTE_CLASSES,
  CharClasses,
  CLASS_SHIFT,
  LETTER,
  MULTI,
  NEWLINE,
  NONE,
  NUMBER,
  OTHER,
  SPACE,
  WIDTH_MASK,
} from './char-classes.ts';

/** `cl100k` is GPT-4's, DBRX's and Llama 3's. */
export type SplitPattern = 'cl100k' | 'gpt2' | 'qwen2';

/** The patterns as tokenizer.json spells them. */
export const SPLIT_PATTERN_SOURCES: Readonly<Record<SplitPattern, string>> = {
  cl100k:
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  gpt2: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  qwen2:
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
};

const APOSTROPHE = 0x27;
const BLANK = 0x20;

/** Finds the ends of pieces; pieces follow each other without a gap. */
export abstract class Splitter {
  protected readonly classes = new CharClasses();

  /** Called before the pieces of `bytes[..end)` are asked for, from the first to the last. */
  begin(_bytes: Uint8Array, _end: number): void {}

  /** The end of the piece of `bytes[..end)` that starts at `start` < `end`; 0 <= `end` <= bytes.length. */
  abstract pieceEnd(bytes: Uint8Array, start: number, end: number): number;

  /**
   * The first place in `[from, end)` where every pattern here splits whatever stands before and after, so that the parts
   * on both sides may be encoded on their own: after a letter or number, before what is neither, nor an apostrophe.
   * `end` where there is none. `from` > 0 is the start of a character.
   */
  safeCut(bytes: Uint8Array, from: number, end: number): number {
    let before = NONE;
    for (let at = from; at < end; ) {
      const packed = this.classes.at(bytes, at, end);
      const kind = packed >> CLASS_SHIFT;
      const isWord = kind === LETTER || kind === NUMBER;
      if (!isWord && (before === LETTER || before === NUMBER) && bytes[at] !== APOSTROPHE) return at;
      before = kind;
      at += packed & WIDTH_MASK;
    }
    return end;
  }

  /** The end of the run of characters of class `kind` that begins at or before `at`. */
  protected runEnd(bytes: Uint8Array, at: number, end: number, kind: number): number {
    while (at < end) {
      const byteClass = BYTE_CLASSES[bytes[at]!]!;
      if (byteClass === kind) {
        at++;
        continue;
      }
      if (byteClass !== MULTI) break;
      const packed = this.classes.at(bytes, at, end);
      if (packed >> CLASS_SHIFT !== kind) break;
      at += packed & WIDTH_MASK;
    }
    return at;
  }

  /** `\s+(?!\S)|\s+`, or with `newlinesFirst` `\s*[\r\n]+|\s+(?!\S)|\s+`, at a white space. */
  protected spacesEnd(bytes: Uint8Array, start: number, end: number, newlinesFirst: boolean): number {
    let at = start;
    let last = start;
    let afterNewline = 0;
    while (at < end) {
      const packed = this.classes.at(bytes, at, end);
      const kind = packed >> CLASS_SHIFT;
      if (kind !== SPACE && kind !== NEWLINE) break;
      last = at;
      at += packed & WIDTH_MASK;
      if (kind === NEWLINE) afterNewline = at;
    }
    if (newlinesFirst && afterNewline > 0) return afterNewline;
    return at === end || last === start ? at : last;
  }
}

/** GPT-4's pattern; with `maxDigits` 1 Qwen2's. */
class Cl100kSplitter extends Splitter {
  private readonly maxDigits: number;

  constructor(maxDigits: number) {
    super();
    this.maxDigits = maxDigits;
  }

  pieceEnd(bytes: Uint8Array, start: number, end: number): number {
    const first = bytes[start]!;
    let kind = BYTE_CLASSES[first]!;
    let next = start + 1;
    if (kind === MULTI) {
      const packed = this.classes.at(bytes, start, end);
      kind = packed >> CLASS_SHIFT;
      next = start + (packed & WIDTH_MASK);
    }
    if (kind === LETTER) return this.runEnd(bytes, next, end, LETTER);
    if (kind === NUMBER) return this.numberEnd(bytes, next, end);
    if (first === APOSTROPHE) {
      const contraction = anyCaseContractionEnd(bytes, start, end);
      if (contraction > 0) return contraction;
    }
    let nextKind = NONE;
    if (next < end) {
      nextKind = BYTE_CLASSES[bytes[next]!]!;
      if (nextKind === MULTI) nextKind = this.classes.at(bytes, next, end) >> CLASS_SHIFT;
    }
    if (nextKind === LETTER && kind !== NEWLINE) return this.runEnd(bytes, next, end, LETTER);
    if (kind === OTHER || (first === BLANK && nextKind === OTHER)) {
      const at = this.runEnd(bytes, next, end, OTHER);
      return at < end && BYTE_CLASSES[bytes[at]!] === NEWLINE ? this.runEnd(bytes, at, end, NEWLINE) : at;
    }
    return this.spacesEnd(bytes, start, end, true);
  }

  /** `\p{N}{1,maxDigits}`, one of which stands before `at`. */
  private numberEnd(bytes: Uint8Array, at: number, end: number): number {
    for (let digits = 1; digits < this.maxDigits && at < end; digits++) {
      const packed = this.classes.at(bytes, at, end);
      if (packed >> CLASS_SHIFT !== NUMBER) break;
      at += packed & WIDTH_MASK;
    }
    return at;
  }
}

class Gpt2Splitter extends Splitter {
  pieceEnd(bytes: Uint8Array, start: number, end: number): number {
    const first = bytes[start]!;
    if (first === APOSTROPHE) {
      const contraction = contractionEnd(bytes, start, end);
      if (contraction > 0) return contraction;
    }
    const at = first === BLANK && start + 1 < end ? start + 1 : start;
    const packed = this.classes.at(bytes, at, end);
    const kind = packed >> CLASS_SHIFT;
    if (kind !== SPACE && kind !== NEWLINE) return this.runEnd(bytes, at + (packed & WIDTH_MASK), end, kind);
    return this.spacesEnd(bytes, start, end, false);
  }
}

/** The splitter of a pattern. */
export function splitterOf(pattern: SplitPattern): Splitter {
  return pattern === 'gpt2' ? new Gpt2Splitter() : new Cl100kSplitter(pattern === 'qwen2' ? 1 : 3);
}

/** `'s|'t|'re|'ve|'m|'ll|'d` at an apostrophe; 0 where there is none. */
function contractionEnd(bytes: Uint8Array, start: number, end: number): number {
  if (start + 1 >= end) return 0;
  const first = bytes[start + 1]!;
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return start + 2;
  if (start + 2 >= end) return 0;
  const second = bytes[start + 2]!;
  const two = (first === 0x72 || first === 0x76) && second === 0x65;
  return two || (first === 0x6c && second === 0x6c) ? start + 3 : 0;
}

/** As {@link contractionEnd}, in upper case too. */
function anyCaseContractionEnd(bytes: Uint8Array, start: number, end: number): number {
  if (start + 1 >= end) return 0;
  const first = bytes[start + 1]! | 0x20;
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return start + 2;
  if (start + 2 >= end) return 0;
  if (bytes[start + 1] === 0xc5 && bytes[start + 2] === 0xbf) return start + 3;
  const second = bytes[start + 2]! | 0x20;
  const two = (first === 0x72 || first === 0x76) && second === 0x65;
  return two || (first === 0x6c && second === 0x6c) ? start + 3 : 0;
}
