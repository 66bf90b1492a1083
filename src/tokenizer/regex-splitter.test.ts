import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { translateRegex } from './regex-dialect.ts';
import { RegexSplitter, type SplitRule } from './regex-splitter.ts';
import { SPLIT_PATTERN_SOURCES, type SplitPattern, type Splitter, splitterOf } from './split.ts';

function split(splitter: Splitter, bytes: Uint8Array): string[] {
  const pieces: string[] = [];
  splitter.begin(bytes, bytes.length);
  for (let start = 0, end = 0; start < bytes.length; start = end) {
    end = splitter.pieceEnd(bytes, start, bytes.length);
    pieces.push(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
  }
  return pieces;
}
const pieces = (rules: readonly SplitRule[], text: string) =>
  split(new RegexSplitter(rules), Buffer.from(text)).map((each) => Buffer.from(each, 'latin1').toString());

describe('splitting by a regular expression of a file', () => {
  it.each(Object.keys(SPLIT_PATTERN_SOURCES) as SplitPattern[])('equals the scanner of %s', (name) => {
    const scanner = splitterOf(name);
    const regex = new RegexSplitter([{ regex: SPLIT_PATTERN_SOURCES[name], behavior: 'Isolated' }]);
    // biome-ignore format: a list of units
    const unit = fc.constantFrom(' ', '\n', '\r', '\t', '\u0085', '\ufeff', "'", "'S", "'ſ", "'lL", 'a', 'é', '日', '𝒳', '4', '½', '.', '🙂', '\u0301');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 30 }), (text) => {
        expect(split(regex, Buffer.from(text))).toEqual(split(scanner, Buffer.from(text)));
      }),
      { numRuns: 500 },
    );
  });

  it('keeps all bytes of what is no UTF-8', () => {
    const regex = new RegexSplitter([{ regex: '\\p{L}+|\\s', behavior: 'Isolated' }]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        expect(split(regex, bytes).join('')).toBe(Buffer.from(bytes).toString('latin1'));
      }),
    );
  });

  it('joins pieces as Hugging Face does', () => {
    const rule = (behavior: SplitRule['behavior'], invert = false) => [{ regex: '-', behavior, invert }];
    expect(pieces(rule('Isolated'), 'a--b-')).toEqual(['a', '-', '-', 'b', '-']);
    expect(pieces(rule('MergedWithPrevious'), 'a--b-')).toEqual(['a-', '-', 'b-']);
    expect(pieces(rule('MergedWithNext'), 'a--b-')).toEqual(['a', '-', '-b', '-']);
    expect(pieces(rule('Contiguous'), 'a--b-')).toEqual(['a', '--', 'b', '-']);
    expect(pieces([...rule('Isolated'), { regex: '\\d', behavior: 'Isolated' }], 'a1-2')).toEqual([
      'a',
      '1',
      '-',
      '2',
    ]);
  });
});

describe("a file's dialect in JavaScript's", () => {
  it.each([
    ["(?i:'s|k)", "'S'ſKxk\u212a", ["'S", "'ſ", 'K', 'k', '\u212a']],
    ['a++b?|ab', 'aab ab', ['aab', 'ab']],
    ['(?>a|ab)c|b', 'abc', ['b']],
    ['\\d{1,2}+', '12345', ['12345']],
    ['^\\w|\\S$', 'ab\ncd', ['a', 'b', 'c', 'd']],
    ['\\w\\W', 'a.b', ['a.']],
    ['.+', 'a\r\u2028\nb', ['a\r\u2028', 'b']],
    ['\\s+', 'a\u0085b\ufeffc', ['\u0085']],
    ['[a-z&&[^aeiou]]+', 'abcde', ['bcd']],
    ['[^(\\s|[.,!?]]+', 'ab, (c|d', ['ab', 'c', 'd']],
    ['\\p{Han}+|\\p{^L}|\\pN', '日本a1', ['日本', '1']],
    ['\\x{1F642}|\\u0041|\\x42', '🙂AB', ['🙂', 'A', 'B']],
    ['[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]', '-a]', ['-', ']']],
    ['(?<=a)b|(?<!a)c|d(?!e)', 'abccdde', ['b', 'c', 'c', 'd']],
  ])('%s', (source, text, matches) => {
    expect(text.match(translateRegex(source))).toEqual(matches);
  });

  it.each([
    '(a+)+$',
    '(a|b)*',
    '(?:a*){2}',
    '(?:a{2,3})*a**',
    'a{2,3}+',
    '(',
    ')',
    '[a',
    'a**',
    '\\1',
    '\\X',
    '\\bfoo',
    '(?<n>a)',
    '[[:alpha:]]',
    '\\p{Nothing}',
    '(?i:é)',
    '[z-a]',
    '(?i:[b-d])',
    '(?#x)',
    '('.repeat(60),
  ])('refuses %s', (source) => {
    expect(() => translateRegex(source)).toThrow(expect.objectContaining({ name: 'Error' }));
  });

  it('refuses a pattern that is too long', () => {
    expect(() => translateRegex('a'.repeat(30_000))).toThrow('30000 characters');
  });

  it('refuses for tiktoken what means something else to Hugging Face', () => {
    for (const source of ['a$', '^a', 'a{1,3}+'])
      expect(() => translateRegex(source, 'rust')).toThrow('Hugging Face');
  });
});
