import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { piecesOf } from './plain-bpe.ts';
import { type SplitPattern, splitterOf } from './split.ts';
import { wellFormed } from './tokenizer.ts';

const PATTERNS: SplitPattern[] = ['cl100k', 'gpt2', 'qwen2'];
// biome-ignore format: a list of units
const UNITS = [
  ' ', '  ', '\n', '\r', '\r\n', '\t', '\v', '\u0085', '\ufeff', '\u00a0', '\u2003', '\u2028', '\u3000', '\u200b',
  "'", "'S", "'ſ", "'Re", "'lL", "'ve", "'t", 'a', 'Straße', '日本', '𝒳', '𝟘', '١٢', '4', '1234', 'Ⅷ', '½', '.', '!!', '🙂',
  'e\u0301', '\u0301', '\u093e', 'ǅ', 'ʰ', 'ª', '\0', '\x7f', 'word', '\ud800', '\udc00', '\ufffd', '\u{e0001}', '\u{10ffff}',
];
const anyText = fc.oneof(
  fc.string({ unit: fc.constantFrom(...UNITS), maxLength: 40 }),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
);

describe.each(PATTERNS)('the splitter of %s', (pattern) => {
  const splitter = splitterOf(pattern);
  const split = (bytes: Uint8Array, start = 0): string[] => {
    const pieces: string[] = [];
    for (let end = start; start < bytes.length; start = end) {
      end = splitter.pieceEnd(bytes, start, bytes.length);
      pieces.push(Buffer.from(bytes.subarray(start, end)).toString());
    }
    return pieces;
  };

  it('equals the regular expression', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(split(Buffer.from(text))).toEqual(piecesOf(pattern, wellFormed(text)));
      }),
      { numRuns: 2000 },
    );
  });

  it('equals it on code points of every script, alone and between others', () => {
    let text = '';
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += codePoint < 0x3000 ? 1 : 37) {
      const char = wellFormed(String.fromCodePoint(codePoint));
      text += `a${char}${char}1 ${char}\n`;
      if (text.length < 4096) continue;
      expect(split(Buffer.from(text)).join('|') === piecesOf(pattern, text).join('|'), text).toBe(true);
      text = '';
    }
  });

  it('splits at a safe cut whatever stands on its two sides', () => {
    fc.assert(
      fc.property(anyText, anyText, (left, right) => {
        const bytes = Buffer.from(`${left}a${right}`);
        const cut = splitter.safeCut(bytes, Buffer.byteLength(left), bytes.length);
        expect([...split(bytes.subarray(0, cut)), ...split(bytes, cut)]).toEqual(split(bytes));
      }),
      { numRuns: 1000 },
    );
    const cutOf = (text: string) => splitter.safeCut(Buffer.from(text), 0, Buffer.byteLength(text));
    expect([' word next', "it's so", '日本語。日', '3.14', '12345', ' \n '].map(cutOf)).toEqual([
      5, 4, 9, 1, 5, 3,
    ]);
  });

  it('passes bytes that are not UTF-8 in finite steps, without a gap', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        for (let start = 0; start < bytes.length; ) {
          const end = splitter.pieceEnd(bytes, start, bytes.length);
          expect(end).toBeGreaterThan(start);
          expect(end).toBeLessThanOrEqual(bytes.length);
          start = end;
        }
        const cut = splitter.safeCut(bytes, 0, bytes.length);
        expect(cut).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});
