import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import fc from 'fast-check';
import { get_encoding } from 'tiktoken';
import { afterAll, describe, expect, it } from 'vitest';
import { cl100kBase, DBRX_SPECIAL_TOKENS, parseTokenizer, r50kBase } from './index.ts';
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

describe('cl100k_base', () => {
  it('equals tiktoken on random strings', () => {
    const assigned = fc.string({ unit: 'binary' }).filter((text) => !/\p{Unassigned}/u.test(text));
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
    expect(
      Buffer.from(back.encode(ranksText).buffer).equals(Buffer.from(ours.encode(ranksText).buffer)),
    ).toBe(true);
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
    const table = new MergeTable(Int32Array.of(0, 0, 2, 2, 0, 3, 0, 1, 4, 2, 2, 5, 4, 3, 6));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 96 }), (symbols) => {
        const a = Int32Array.from(symbols);
        const b = Int32Array.from(symbols);
        const countA = table.applyByRescan(a, a.length);
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

interface Vector {
  readonly encoding: string;
  readonly text: string;
  readonly opts: string | null;
  readonly ids: readonly number[];
}
