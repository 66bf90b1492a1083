/**
 * Splitting text into the pieces that BPE merges within. GPT-4's pattern (cl100k_base; DBRX and Llama 3 use it too) is a
 * hand-written scanner, several times faster than the regular expression it equals; GPT-2's pattern is left as a
 * regular expression. Only these two are known: a pattern from a file is compared, never run.
 *
 * `\s` of the original engines is Unicode's White_Space, which differs from JavaScript's `\s` in U+0085 and U+FEFF, and
 * their case-insensitive `s` also matches U+017F (long s).
 */

export type SplitPattern = 'cl100k' | 'gpt2';

/** The patterns as tokenizer.json spells them. */
export const SPLIT_PATTERN_SOURCES: Readonly<Record<SplitPattern, string>> = {
  cl100k:
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  gpt2: "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
};

/** Gives the end of the piece that starts at `start`; pieces follow each other without a gap. 0 <= start < text.length. */
export type PieceEnd = (text: string, start: number) => number;

/** The splitter of a pattern. */
export function pieceEndOf(pattern: SplitPattern): PieceEnd {
  return pattern === 'cl100k' ? cl100kPieceEnd : gpt2PieceEnd();
}

const OTHER = 0;
const LETTER = 1;
const NUMBER = 2;
const SPACE = 3;
const NEWLINE = 4;

const BMP_CLASSES: Uint8Array = bmpClasses();
const IS_LETTER = /^\p{L}/u;
const IS_NUMBER = /^\p{N}/u;

/** The end of the piece of cl100k_base's pattern that starts at `start`. */
export function cl100kPieceEnd(text: string, start: number): number {
  const code = text.charCodeAt(start);
  const kind = classAt(text, start, code);
  if (kind === LETTER) return endOfRun(text, start + width(text, start, code), LETTER);
  if (kind === NUMBER) return endOfNumber(text, start);
  if (code === 0x27) {
    const end = endOfContraction(text, start);
    if (end > 0) return end;
  }
  const next = start + width(text, start, code);
  const kindOfNext = next < text.length ? classAt(text, next, text.charCodeAt(next)) : -1;
  if (kindOfNext === LETTER && kind !== NEWLINE) return endOfRun(text, next, LETTER);
  if (kind === OTHER || (code === 0x20 && kindOfNext === OTHER)) {
    return endOfNewlines(text, endOfRun(text, next, OTHER));
  }
  return endOfSpaces(text, start);
}

/** `\s*[\r\n]+|\s+(?!\S)|\s+` */
function endOfSpaces(text: string, start: number): number {
  let end = start;
  let afterNewline = 0;
  for (; end < text.length; end++) {
    const kind = BMP_CLASSES[text.charCodeAt(end)]!;
    if (kind === NEWLINE) afterNewline = end + 1;
    else if (kind !== SPACE) break;
  }
  if (afterNewline > 0) return afterNewline;
  return end === text.length || end === start + 1 ? end : end - 1;
}

/** `\p{N}{1,3}` */
function endOfNumber(text: string, start: number): number {
  let end = start;
  for (let digits = 0; digits < 3 && end < text.length; digits++) {
    const code = text.charCodeAt(end);
    if (classAt(text, end, code) !== NUMBER) break;
    end += width(text, end, code);
  }
  return end;
}

/** `(?i:'s|'t|'re|'ve|'m|'ll|'d)`; 0 where there is none. */
function endOfContraction(text: string, start: number): number {
  const first = text.charCodeAt(start + 1);
  if (first === 0x17f) return start + 2;
  const lower = first | 0x20;
  if (lower === 0x73 || lower === 0x74 || lower === 0x6d || lower === 0x64) return start + 2;
  const second = text.charCodeAt(start + 2) | 0x20;
  const two = (lower === 0x72 || lower === 0x76) && second === 0x65;
  return two || (lower === 0x6c && second === 0x6c) ? start + 3 : 0;
}

function endOfRun(text: string, from: number, kind: number): number {
  let end = from;
  while (end < text.length) {
    const code = text.charCodeAt(end);
    if (classAt(text, end, code) !== kind) break;
    end += width(text, end, code);
  }
  return end;
}

function endOfNewlines(text: string, from: number): number {
  let end = from;
  while (end < text.length && BMP_CLASSES[text.charCodeAt(end)] === NEWLINE) end++;
  return end;
}

/** The class of the code point at `at`, whose first unit is `code`. A lone surrogate is OTHER. */
function classAt(text: string, at: number, code: number): number {
  return width(text, at, code) === 1 ? BMP_CLASSES[code]! : astralClass(text.slice(at, at + 2));
}

/** The number of UTF-16 units of the code point at `at`. */
function width(text: string, at: number, code: number): 1 | 2 {
  if ((code & 0xfc00) !== 0xd800) return 1;
  return (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00 ? 2 : 1;
}

function astralClass(char: string): number {
  if (IS_LETTER.test(char)) return LETTER;
  return IS_NUMBER.test(char) ? NUMBER : OTHER;
}

function bmpClasses(): Uint8Array {
  const classes = new Uint8Array(0x10000);
  const units = Array.from({ length: 0x10000 }, (_, code) => code).filter(
    (code) => (code & 0xf800) !== 0xd800,
  );
  const all = units.map((code) => String.fromCharCode(code)).join('');
  const mark = (pattern: RegExp, kind: number) => {
    for (const run of all.matchAll(pattern)) {
      for (const char of run[0]) classes[char.charCodeAt(0)] = kind;
    }
  };
  mark(/\p{L}+/gu, LETTER);
  mark(/\p{N}+/gu, NUMBER);
  mark(/\p{White_Space}+/gu, SPACE);
  mark(/[\r\n]+/g, NEWLINE);
  return classes;
}

function gpt2PieceEnd(): PieceEnd {
  const space = '\\p{White_Space}';
  const pattern = new RegExp(
    `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${space}\\p{L}\\p{N}]+|${space}+(?!\\P{White_Space})|${space}+`,
    'uy',
  );
  return (text, start) => {
    pattern.lastIndex = start;
    pattern.test(text);
    return pattern.lastIndex;
  };
}
