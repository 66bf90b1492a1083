import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import fc from 'fast-check';
import { get_encoding } from 'tiktoken';
import { afterAll, describe, expect, it, vi } from 'vitest';
import {
  cl100kBase,
  DBRX_SPECIAL_TOKENS,
  o200kBase,
  parseTokenizer,
  r50kBase,
  tokenizerFromRanks,
} from './index.ts';
import { MergeTable } from './merge-table.ts';
import { wellFormed } from './tokenizer.ts';

const require = createRequire(import.meta.url);
const ranksPath = require.resolve('gpt-tokenizer/data/cl100k_base.tiktoken');
const ranksText = readFileSync(ranksPath, 'utf8');
const ours = cl100kBase(ranksText);
const oracle = get_encoding('cl100k_base');
afterAll(() => oracle.free());
const vectorsPath = join(
  process.env.DABAREX_VECTORS ?? '../shared/vectors',
  'tokenizer/tiktoken_vectors.json',
);

/**
 * Code points assigned by Unicode 5.1 or, from U+1F300 on, 6.1: what is newer is a letter to one Unicode table and nothing yet
 * to another, and Node, tiktoken and this machine's need not be of one version.
 */
const LONG_ASSIGNED = [
  ...[
    [0x00, 0x377],
    [0x3a3, 0x523],
    [0x5d0, 0x5ea],
    [0x621, 0x6ff],
    [0x904, 0x939],
    [0x966, 0x96f],
  ],
  ...[
    [0xe01, 0xe3a],
    [0xe40, 0xe5b],
    [0x1100, 0x1159],
    [0x1e00, 0x1eff],
    [0x2000, 0x2064],
    [0x2074, 0x208e],
  ],
  ...[
    [0x20a0, 0x20b5],
    [0x2100, 0x214f],
    [0x2153, 0x2188],
    [0x2190, 0x23e7],
    [0x2460, 0x269d],
  ],
  ...[
    [0x3000, 0x303f],
    [0x3041, 0x3096],
    [0x3099, 0x30ff],
    [0x3400, 0x4db5],
    [0x4e00, 0x9fbb],
  ],
  ...[
    [0xac00, 0xd7a3],
    [0xe000, 0xf8ff],
    [0xfb00, 0xfb06],
    [0xff01, 0xffbe],
    [0x10300, 0x1031e],
  ],
  ...[
    [0x1d400, 0x1d454],
    [0x1d7ce, 0x1d7ff],
    [0x1f300, 0x1f320],
    [0x1f600, 0x1f640],
    [0x20000, 0x2a6d6],
  ],
  [0xe0100, 0xe01ef],
] as const;
const charactersOf = ([min, max]: readonly [number, number]) =>
  fc.integer({ min, max }).map((codePoint) => String.fromCodePoint(codePoint));

// Thousands of strings through two tokenizers take long on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

describe('cl100k_base', () => {
  it('equals tiktoken on random strings', () => {
    const assigned = fc.string({ unit: fc.oneof(...LONG_ASSIGNED.map(charactersOf)) });
    const pieces = fc.string({
      unit: fc.constantFrom(
        ' ',
        '  ',
        '\n',
        '\r\n',
        '\t',
        '\u0085',
        '\ufeff',
        '\u00a0',
        '\u3000',
        "'",
        "'S",
        "'ſ",
        "'Re",
        "'lL",
        "'ve",
        'a',
        'Straße',
        '日本',
        '𝒳',
        '𝟘',
        '١٢',
        '4',
        '1234',
        '½',
        '.',
        '!!',
        '🙂',
        '\u0301',
        '<|endoftext|>',
        'word',
        'ſ',
        '\ud800',
      ),
      maxLength: 30,
    });
    fc.assert(
      fc.property(fc.oneof(assigned, pieces), (text) => {
        expect([...ours.encode(text)]).toEqual([...oracle.encode_ordinary(wellFormed(text))]);
        expect(ours.decode(ours.encode(text))).toBe(wellFormed(text));
      }),
      { numRuns: 3000 },
    );
  });

  it('equals tiktoken on code, prose and long runs', () => {
    const files = ['./train-bpe.ts', './cl100k.test.ts', '../../docs/errors.md'];
    const texts = files.map((file) => readFileSync(new URL(file, import.meta.url), 'utf8'));
    for (const text of [...texts, 'a'.repeat(3000), '-='.repeat(2000), 'é日'.repeat(500), ' '.repeat(1000)]) {
      expect([...ours.encode(text)]).toEqual([...oracle.encode_ordinary(text)]);
    }
  });

  it('is read back from its tokenizer.json', () => {
    const back = parseTokenizer(JSON.parse(JSON.stringify(cl100kBase(ranksText, DBRX_SPECIAL_TOKENS))));
    expect(back.vocabSize).toBe(100280);
    expect(back.endOfTextId).toBe(100257);
    expect(back.decode([100256, 15339])).toBe('hello');
    const text = ranksText.slice(0, 100_000);
    expect(Buffer.from(back.encode(text).buffer).equals(Buffer.from(ours.encode(text).buffer))).toBe(true);
  });

  it('refuses broken ranks', () => {
    for (const text of ['', 'IQ== 1', ranksText.replace('Ig== 1\n', ''), `${ranksText}IQ== 100256`, 'x']) {
      expect(() => cl100kBase(text)).toThrow(expect.objectContaining({ code: 'tokenizer_invalid' }));
    }
  });

  it.skipIf(!existsSync(vectorsPath))(
    "passes tiktoken's assertions (skipped where the vectors are absent)",
    () => {
      const vectors = JSON.parse(readFileSync(vectorsPath, 'utf8')) as Vector[];
      const own = vectors.filter((each) => each.encoding === 'cl100k_base');
      expect(own.length).toBeGreaterThan(5);
      for (const { text, opts, ids } of own) {
        const allowedSpecial = opts?.includes('all') ? 'all' : 'none';
        expect([...ours.encode(text, { allowedSpecial })]).toEqual(ids);
      }
    },
  );
});

describe('MergeTable', () => {
  it('merges the same by rescan and by heap', () => {
    const table = MergeTable.of(Int32Array.of(0, 0, 2, 2, 0, 3, 0, 1, 4, 2, 2, 5, 4, 3, 6));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 96 }), (symbols) => {
        const a = Int32Array.from(symbols);
        const b = Int32Array.from(symbols);
        const countA = table.applyByRescan(a, 0, a.length);
        const countB = table.applyByHeap(b, b.length);
        expect([...b.subarray(0, countB)]).toEqual([...a.subarray(0, countA)]);
      }),
    );
  });
});

describe('r50k_base', () => {
  const gpt2 = r50kBase(readFileSync(require.resolve('gpt-tokenizer/data/r50k_base.tiktoken'), 'utf8'));

  it('equals tiktoken on random strings', () => {
    const reference = get_encoding('gpt2');
    const unit = fc.constantFrom(
      ' ',
      '\n',
      '\r',
      '\u0085',
      '\ufeff',
      "'s",
      "'S",
      'a',
      '日',
      '4',
      '½',
      '.',
      '🙂',
      '𝒳',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 30 }), (text) => {
        expect([...gpt2.encode(text)]).toEqual([...reference.encode_ordinary(text)]);
      }),
      { numRuns: 1000 },
    );
    reference.free();
  });

  it.skipIf(!existsSync(vectorsPath))(
    "passes tiktoken's assertions (skipped where the vectors are absent)",
    () => {
      const vectors = JSON.parse(readFileSync(vectorsPath, 'utf8')) as Vector[];
      const own = vectors.filter((each) => each.encoding === 'gpt2' || each.encoding === 'r50k_base');
      expect(own.length).toBeGreaterThan(15);
      for (const { text, opts, ids } of own) {
        expect([...gpt2.encode(text, { allowedSpecial: opts?.includes('all') ? 'all' : 'none' })]).toEqual(
          ids,
        );
      }
      const back = parseTokenizer(JSON.parse(JSON.stringify(gpt2)));
      expect(back.encode("It's 12345\n\n x")).toEqual(gpt2.encode("It's 12345\n\n x"));
    },
  );
});

describe('ranks with a pattern of their own', () => {
  it('equals tiktoken on o200k_base', () => {
    const gpt4o = o200kBase(readFileSync(require.resolve('gpt-tokenizer/data/o200k_base.tiktoken'), 'utf8'));
    const reference = get_encoding('o200k_base');
    // biome-ignore format: a list of units
    const unit = fc.constantFrom(' ', '\n', '\r', '/', '\u0085', "'s", "'RE", 'a', 'A', 'ǅ', 'É', 'ﬁ', '日', '4', '½', '.', '🙂', 'HTTPServer', 'camelCase', '\u0301');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 30 }), (text) => {
        expect([...gpt4o.encode(text)]).toEqual([...reference.encode_ordinary(text)]);
      }),
      { numRuns: 1000 },
    );
    reference.free();
  });

  it('merges by the rank of the text where a token is not made of two', () => {
    const bytes = Array.from({ length: 256 }, (_, byte) => Buffer.of(byte));
    const words = ['abcd', 'ab', 'cd', 'bc', 'abc', 'xyz'].map((text) => Buffer.from(text));
    const text = [...bytes, ...words].map((each, rank) => `${each.toString('base64')} ${rank}`).join('\n');
    const own = tokenizerFromRanks(text, { pattern: '\\w+|\\W+', specialTokens: new Map([['<end>', 300]]) });
    const pieces = (piece: string) => [...own.encode(piece)].map((id) => own.decode([id]));
    expect(pieces('abcd')).toEqual(['abcd']);
    expect(pieces('xabcd')).toEqual(['x', 'abcd']);
    expect(pieces('xyz-xyzabc')).toEqual(['xyz', '-', 'x', 'y', 'z', 'abc']);
    expect([...own.encode('ab<end>', { allowedSpecial: 'all' })]).toEqual([257, 300]);
    expect([
      ...parseTokenizer(JSON.parse(JSON.stringify(own).replaceAll('<end>', '</s>'))).encode('xabcd'),
    ]).toEqual([...own.encode('xabcd')]);
  });

  it.each([
    ['a pattern that cannot be run', '(a+)+', [['<end>', 999_999]], 'tokenizer_unsupported'],
    ['a special token with the id of a rank', 'gpt2', [['<end>', 5]], 'tokenizer_invalid'],
    ['no special token', 'gpt2', [], 'tokenizer_invalid'],
  ] as const)('refuses %s', (_, pattern, specials, code) => {
    const specialTokens = new Map<string, number>(specials);
    expect(() => tokenizerFromRanks(ranksText, { pattern, specialTokens })).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

interface Vector {
  readonly encoding: string;
  readonly text: string;
  readonly opts: string | null;
  readonly ids: readonly number[];
}
