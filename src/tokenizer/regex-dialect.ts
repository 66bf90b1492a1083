/**
 * Regular expressions of tokenizer files, written for Oniguruma (Hugging Face) or Rust (tiktoken), in JavaScript's dialect:
 * `(?i:`, possessive quantifiers and atomic groups, Unicode's `\s`, `\w` and `\d`, lines at `^` and `$`, names of scripts.
 *
 * What is not known is refused, never guessed. So are nested repetitions such as `(a+)+`, whose time can grow exponentially with the
 * text: a file must not be able to stop a process.
 */
import { assert } from '../base/index.ts';

/** A part of a pattern, translated. */
interface Part {
  readonly js: string;
  /** it repeats something without a bound */
  readonly repeats: boolean;
  /** it is a group of alternatives */
  readonly branches: boolean;
}

/** What a pattern uses that has no translation. */
export class DialectError extends Error {}

const MAX_SOURCE_LENGTH = 20_000;
const MAX_DEPTH = 50;
/** Other characters that are equal to an ASCII letter when case is ignored. */
const FOLDS: Readonly<Record<string, string>> = { s: 'ſ', k: '\u212a' };
const CLASS_ESCAPES: Readonly<Record<string, string>> = {
  s: '\\p{White_Space}',
  S: '\\P{White_Space}',
  d: '\\p{Nd}',
  D: '\\P{Nd}',
  w: '\\p{L}\\p{M}\\p{N}\\p{Pc}',
  W: '[^\\p{L}\\p{M}\\p{N}\\p{Pc}]',
  h: '0-9a-fA-F',
  H: '[^0-9a-fA-F]',
};

/**
 * `source` as a regular expression that finds all matches.
 * @param dialect of Hugging Face's files (default), or of tiktoken; what differs between both is refused in the second, so that a
 *   file for the first may be written of it
 * @throws DialectError
 */
export function translateRegex(source: string, dialect: 'oniguruma' | 'rust' = 'oniguruma'): RegExp {
  const js = new Translator(source, dialect).translate();
  try {
    return new RegExp(js, 'gv');
  } catch (cause) {
    throw new DialectError(`a pattern that cannot be run (${(cause as Error).message})`, { cause });
  }
}

class Translator {
  private readonly source: string;
  private at = 0;
  private groups = 0;
  private depth = 0;
  private readonly isRust: boolean;

  constructor(source: string, dialect: 'oniguruma' | 'rust') {
    this.isRust = dialect === 'rust';
    if (source.length > MAX_SOURCE_LENGTH) throw new DialectError(`a pattern of ${source.length} characters`);
    this.source = source;
  }

  translate(): string {
    const ignoresCase = this.take('(?i)');
    const { js } = this.alternatives(ignoresCase);
    if (this.at < this.source.length) throw new DialectError('a pattern with a ) too many');
    return js;
  }

  private alternatives(ignoresCase: boolean): Part {
    if (++this.depth > MAX_DEPTH) throw new DialectError('a pattern nested too deep');
    let js = '';
    let repeats = false;
    let branches = false;
    while (this.at < this.source.length && this.source[this.at] !== ')') {
      if (this.take('|')) {
        js += '|';
        branches = true;
        continue;
      }
      const item = this.item(ignoresCase);
      js += item.js;
      repeats ||= item.repeats;
      branches ||= item.branches;
    }
    this.depth--;
    return { js, repeats, branches };
  }

  private item(ignoresCase: boolean): Part {
    const atom = this.atom(ignoresCase);
    const quantifier = /(?:[*+?]|\{(\d*)(,?)(\d*)\})([?+]?)/y;
    quantifier.lastIndex = this.at;
    const match = quantifier.exec(this.source);
    if (!match || match[0] === '{}' || match[0] === '{,}') return atom;
    this.at += match[0].length;
    const [whole, least = '', comma = '', most = '', mode] = match;
    const bare = mode === '' ? whole : whole.slice(0, -1);
    const unbounded = bare === '*' || bare === '+' || (comma !== '' && most === '');
    if (bare !== '?' && (atom.repeats || (unbounded && atom.branches))) {
      throw new DialectError('a pattern with a repetition within a repetition');
    }
    const js = atom.js + (bare.startsWith('{,') ? `{0,${most}}` : bare);
    const part = { repeats: atom.repeats || unbounded, branches: atom.branches };
    if (mode === '+' && bare.startsWith('{'))
      return { ...atom, js: this.repeated(atom, least), repeats: true };
    if (mode === '+') return { ...part, js: this.atomic(js) };
    return { ...part, js: mode === '?' ? `${js}?` : js };
  }

  /** `{n,m}+`: any number of times that, which for n of 0 or 1 is any number of times the atom. In Rust it is possessive. */
  private repeated(atom: Part, least: string): string {
    this.requireOneMeaning('a bound followed by +');
    if (Number(least) > 1 || atom.branches) throw new DialectError('a repetition of a bounded repetition');
    return `${atom.js}${Number(least) === 1 ? '+' : '*'}`;
  }

  private requireOneMeaning(what: string): void {
    if (this.isRust)
      throw new DialectError(`${what}, which means one thing to tiktoken and another to Hugging Face`);
  }

  /** A lookahead is never tried again, so what it found is all that there is. */
  private atomic(js: string): string {
    const name = `atomic${this.groups++}`;
    return `(?:(?=(?<${name}>${js}))\\k<${name}>)`;
  }

  private atom(ignoresCase: boolean): Part {
    const plain = (js: string): Part => ({ js, repeats: false, branches: false });
    const char = String.fromCodePoint(this.source.codePointAt(this.at)!);
    if (char === '(') return this.group(ignoresCase);
    if (char === '[') return plain(this.characterClass(ignoresCase));
    this.at += char.length;
    if (char === '.') return plain('[^\\n]');
    if (char === '^' || char === '$') {
      this.requireOneMeaning(char);
      return plain(char === '^' ? '(?<![^\\n])' : '(?![^\\n])');
    }
    if (char === '*' || char === '+' || char === '?') throw new DialectError('a quantifier of nothing');
    if (char !== '\\') return plain(literal(char, ignoresCase));
    const escaped = this.escape();
    return plain(escaped.length > 2 ? `[${escaped}]` : literal(escaped, ignoresCase));
  }

  private group(ignoresCase: boolean): Part {
    const opening = ['(?:', '(?=', '(?!', '(?<=', '(?<!', '(?>', '(?i:', '(?-i:', '('].find((each) =>
      this.take(each),
    )!;
    if (opening === '(' && this.source[this.at] === '?') throw new DialectError('a group of an unknown kind');
    const inner = this.alternatives(opening === '(?i:' || (ignoresCase && opening !== '(?-i:'));
    if (!this.take(')')) throw new DialectError('a pattern with a ( too many');
    if (opening === '(?>') return { ...inner, js: this.atomic(inner.js) };
    const isPlain = ['(', '(?i:', '(?-i:'].includes(opening);
    return { ...inner, js: `${isPlain ? '(?:' : opening}${inner.js})` };
  }

  private characterClass(ignoresCase: boolean): string {
    if (++this.depth > MAX_DEPTH) throw new DialectError('a class nested too deep');
    assert(this.take('['), 'a class begins with [');
    const opening = this.take('^') ? '[^' : '[';
    const operands = [''];
    for (let isFirst = true; ; isFirst = false) {
      const last = operands.length - 1;
      if (this.at >= this.source.length) throw new DialectError('a pattern with a [ too many');
      if (this.source.startsWith('[:', this.at)) throw new DialectError('a class with a POSIX name');
      if (this.source[this.at] === '[') operands[last] += this.characterClass(ignoresCase);
      else if (!isFirst && this.take(']')) break;
      else if (this.take('&&')) operands.push('');
      else operands[last] += this.classItem(ignoresCase);
    }
    this.depth--;
    if (operands.length === 1) return `${opening}${operands[0]}]`;
    return `${opening}${operands.map((each) => `[${each}]`).join('&&')}]`;
  }

  /** A character, a range or a named class within brackets. */
  private classItem(ignoresCase: boolean): string {
    const first = this.classCharacter();
    if (first.length > 2) return first;
    const isRange =
      this.source[this.at] === '-' && !/^-(\]|&&)/.test(this.source.slice(this.at, this.at + 3));
    if (!isRange) return ignoresCase ? bothCases(first).map(inClass).join('') : inClass(first);
    this.at++;
    const last = this.classCharacter();
    if (last.length > 2 || last.codePointAt(0)! < first.codePointAt(0)!)
      throw new DialectError('a range of no characters');
    const range = `${inClass(first)}-${inClass(last)}`;
    if (!ignoresCase) return range;
    if (!/^(a-z|A-Z)$/.test(range)) throw new DialectError('a range of characters that ignores case');
    return `a-zA-Z${FOLDS.s}${FOLDS.k}`;
  }

  /** A character as itself; a named class as it is written. */
  private classCharacter(): string {
    const char = String.fromCodePoint(this.source.codePointAt(this.at)!);
    this.at += char.length;
    return char === '\\' ? this.escape() : char;
  }

  /** After a backslash: a character, or the inside of a class of more than two characters. */
  private escape(): string {
    const char = String.fromCodePoint(this.source.codePointAt(this.at) ?? 0);
    this.at += char.length;
    if (char === 'p' || char === 'P') return this.property(char);
    if (Object.hasOwn(CLASS_ESCAPES, char)) return CLASS_ESCAPES[char]!;
    const controls: Record<string, string> = {
      n: '\n',
      r: '\r',
      t: '\t',
      f: '\f',
      v: '\v',
      a: '\x07',
      e: '\x1b',
      0: '\0',
    };
    if (Object.hasOwn(controls, char)) return controls[char]!;
    const hex = /^(?:u([0-9a-fA-F]{4})|[xu]\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2}))/.exec(
      this.source.slice(this.at - 1, this.at + 9),
    );
    if (hex) {
      this.at += hex[0].length - 1;
      const codePoint = Number.parseInt(hex[1] ?? hex[2] ?? hex[3]!, 16);
      if (codePoint <= 0x10ffff) return String.fromCodePoint(codePoint);
    }
    if (/[\p{L}\p{N}]/u.test(char)) throw new DialectError(`the escape \\${char}`);
    return char;
  }

  private property(kind: string): string {
    const rest = /^(?:\{(\^?)([\w=]+)\}|(\p{L}))/u.exec(this.source.slice(this.at, this.at + 80));
    if (!rest) throw new DialectError('a \\p without a property');
    this.at += rest[0].length;
    const name = rest[2] ?? rest[3]!;
    const letter = rest[1] === '^' ? (kind === 'p' ? 'P' : 'p') : kind;
    const found = [name, `Script=${name}`].find((each) => isProperty(each));
    if (!found) throw new DialectError(`the property \\p{${name}}`);
    return `\\${letter}{${found}}`;
  }

  private take(text: string): boolean {
    if (!this.source.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }
}

function isProperty(name: string): boolean {
  try {
    new RegExp(`\\p{${name}}`, 'u');
    return true;
  } catch {
    return false;
  }
}

function bothCases(char: string): string[] {
  if (/[a-zA-Z]/.test(char)) {
    const lower = char.toLowerCase();
    return [lower, lower.toUpperCase(), ...(Object.hasOwn(FOLDS, lower) ? [FOLDS[lower]!] : [])];
  }
  if (char.toLowerCase() !== char.toUpperCase()) throw new DialectError(`the letter ${char} in any case`);
  return [char];
}

function literal(char: string, ignoresCase: boolean): string {
  const cases = ignoresCase ? bothCases(char) : [char];
  if (cases.length > 1) return `[${cases.join('')}]`;
  return /[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
}

/** Within brackets, where some characters mean something alone and some in pairs. */
function inClass(char: string): string {
  return /[\\()[\]{}/\-|^$.*+?&!#%,:;<=>@`~]/.test(char) ? `\\${char}` : char;
}
