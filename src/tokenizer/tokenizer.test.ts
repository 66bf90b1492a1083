import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, parseTokenizer, saveTokenizer, TextStream, trainBpe, trainChar } from './index.ts';
import { wellFormed } from './tokenizer.ts';

const TEXT = `It was the best of times, it was the worst of times. 3.14159 "naïve" — 日本語 🙂🙂
for (let i = 0; i < 10; i++) {\n\tconsole.log('the times', i);\n}\r\n\r\n don't WON'T she'll\n`;
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
  fc.string({
    unit: fc.constantFrom('the', ' ', '\n', "'s", '<|endoftext|>', '<|im_end|>', '🙂', '12', 'é'),
  }),
);
const bpe = trainBpe({ texts: [TEXT], vocabSize: 300 });
const char = trainChar([TEXT]);
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tokenizer-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('byte-level BPE', () => {
  it('gives back any text, with ids of the vocabulary', () => {
    fc.assert(
      fc.property(anyText, fc.constantFrom('none' as const, 'all' as const), (text, allowedSpecial) => {
        const ids = bpe.encode(text, { allowedSpecial });
        expect(bpe.decode(ids)).toBe(wellFormed(text));
        for (const id of ids) expect(id).toBeLessThan(bpe.vocabSize);
      }),
    );
  });

  it('makes special tokens of text only when asked', () => {
    const text = 'a<|endoftext|>b<|im_end|>';
    const special = new Set(bpe.specialTokens.values());
    expect([...bpe.encode(text)].filter((id) => special.has(id))).toEqual([]);
    const allowed = bpe.encode(text, { allowedSpecial: 'all' });
    expect([...allowed].filter((id) => special.has(id))).toEqual([
      bpe.endOfTextId,
      bpe.specialTokens.get('<|im_end|>'),
    ]);
    expect(bpe.decode(allowed, { skipSpecialTokens: true })).toBe('ab');
  });

  it('decodes ids that name no token as nothing', () => {
    expect(bpe.decode([-1, bpe.vocabSize, 1e9])).toBe('');
  });
});

describe('character level', () => {
  it('gives back texts of its characters, one id a character', () => {
    const unit = fc.constantFrom(...new Set(TEXT));
    fc.assert(
      fc.property(fc.array(unit), (characters) => {
        const ids = char.encode(characters.join(''));
        expect(ids.length).toBe(characters.length);
        expect(char.decode(ids)).toBe(characters.join(''));
      }),
    );
  });

  it('makes other characters the unknown token', () => {
    expect([...char.encode('t한𐍈')]).toEqual([char.encode('t')[0], char.unknownId, char.unknownId]);
    expect(char.encode('<|endoftext|>', { allowedSpecial: 'all' })).toEqual(Int32Array.of(char.endOfTextId));
  });
});

describe('TextStream', () => {
  it('equals decoding the whole and never ends inside a character', () => {
    const ids = fc.array(fc.integer({ min: 0, max: bpe.vocabSize + 3 }));
    const texts = anyText.map((text) => [...bpe.encode(text)]);
    fc.assert(
      fc.property(fc.oneof(ids, texts), (each) => {
        const stream = new TextStream();
        const parts = each.map((id) => stream.push(bpe.tokenBytes(id)).text);
        expect(parts.join('') + stream.end().text).toBe(bpe.decode(each));
      }),
    );
    expect(new TextStream().push(char.tokenBytes(char.encode('🙂')[0]!)).text).toBe('🙂');
    const bytes = [...new TextEncoder().encode('🙂')].map((byte) => idOfByte(byte));
    const stream = new TextStream();
    expect(bytes.map((id) => stream.push(bpe.tokenBytes(id)).text)).toEqual(['', '', '', '🙂']);
  });
});

describe('tokenizer.json', () => {
  it('is read back as the same tokenizer', () => {
    for (const tokenizer of [bpe, char]) {
      const path = join(folder, 'tokenizer.json');
      saveTokenizer(path, tokenizer);
      const back = loadTokenizer(path);
      expect(JSON.stringify(back)).toBe(JSON.stringify(tokenizer));
      fc.assert(
        fc.property(anyText, (text) => {
          expect(back.encode(text)).toEqual(tokenizer.encode(text));
        }),
      );
    }
  });

  it('may write merges as strings', () => {
    const json = JSON.parse(JSON.stringify(bpe));
    json.model.merges = json.model.merges.map((pair: string[]) => pair.join(' '));
    expect(parseTokenizer(json).encode(TEXT)).toEqual(bpe.encode(TEXT));
  });

  it('keeps names that objects have anyway', () => {
    const proto = trainChar(['__proto__ constructor']);
    expect(parseTokenizer(JSON.parse(JSON.stringify(proto))).vocabSize).toBe(proto.vocabSize);
    const words = Array.from({ length: 9 }, () => '__proto__ constructor toString').join(' ');
    const tokenizer = trainBpe({ texts: [words], vocabSize: 282 });
    const back = parseTokenizer(JSON.parse(JSON.stringify(tokenizer)));
    expect(back.encode(words)).toEqual(tokenizer.encode(words));
  });

  it.each<[string, (json: ReturnType<typeof JSON.parse>) => void]>([
    ['no vocabulary', (json) => delete json.model.vocab],
    ['a merge of unknown tokens', (json) => json.model.merges.push(['zz', 'qq'])],
    ['a merge twice', (json) => json.model.merges.push(json.model.merges[0])],
    ['a missing byte', (json) => delete json.model.vocab['!']],
    ['two tokens with one id', (json) => (json.model.vocab.a = 5)],
    ['an id far beyond the others', (json) => (json.model.vocab['zz!'] = 2 ** 31)],
    ['an id that is no number', (json) => (json.model.vocab.a = 'x')],
    [
      'no end of text',
      (json) => {
        json.added_tokens = [];
        for (const key of bpe.specialTokens.keys()) delete json.model.vocab[key];
      },
    ],
    ['a token outside the byte alphabet', (json) => (json.model.vocab.日 = 300)],
  ])('refuses %s', (_, spoil) => {
    const json = JSON.parse(JSON.stringify(bpe));
    spoil(json);
    expect(() => parseTokenizer(json)).toThrow(expect.objectContaining({ code: 'tokenizer_invalid' }));
  });

  it.each<[string, (json: ReturnType<typeof JSON.parse>) => void]>([
    ['another normalizer', (json) => (json.normalizer = { type: 'Precompiled', precompiled_charsmap: '' })],
    ['another pre-tokenizer', (json) => (json.pre_tokenizer.pretokenizers[0] = { type: 'WhitespaceSplit' })],
    [
      'a pattern that may never end',
      (json) => (json.pre_tokenizer.pretokenizers[0].pattern.Regex = '(a+)+$'),
    ],
    [
      'text that is removed',
      (json) =>
        Object.assign(json.pre_tokenizer.pretokenizers[0], { pattern: { String: ' ' }, behavior: 'Removed' }),
    ],
    ['another post-processor', (json) => (json.post_processor = { type: 'Other' })],
    ['dropout', (json) => (json.model.dropout = 0.1)],
    ['another model', (json) => (json.model.type = 'Unigram')],
  ])('refuses %s as unsupported', (_, change) => {
    const json = JSON.parse(JSON.stringify(bpe));
    change(json);
    expect(() => parseTokenizer(json)).toThrow(expect.objectContaining({ code: 'tokenizer_unsupported' }));
  });

  it('names a file that is not there or not JSON', () => {
    const path = join(folder, 'broken.json');
    expect(() => loadTokenizer(path)).toThrow(expect.objectContaining({ code: 'file_missing' }));
    writeFileSync(path, '{"model":');
    expect(() => loadTokenizer(path)).toThrow(expect.objectContaining({ code: 'tokenizer_invalid' }));
  });
});

function idOfByte(byte: number): number {
  for (let id = 0; id < 256; id++) if (bpe.tokenBytes(id)[0] === byte) return id;
  return -1;
}
