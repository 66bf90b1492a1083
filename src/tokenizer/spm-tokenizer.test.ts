import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addedToken } from './added-tokens.ts';
import {
  encodeChat,
  parseTokenizer,
  TextStream,
  TokenBuffer,
  tokenizerFromGguf,
  tokenizerFromLlama2c,
} from './index.ts';
import { SpmTokenizer } from './spm-tokenizer.ts';

const BYTES = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);
const WORDS = ['▁', 'a', 'b', 'é', 'aa', 'ab', 'ba', 'aaa', 'aba', '▁a', '▁▁', '▁ab', 'bé', 'aab', '▁▁▁'];
const TOKENS = ['<unk>', '<s>', '</s>', '<tool>', ...BYTES, ...WORDS];
const TYPES = TOKENS.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id === 3 ? 4 : id < 4 + 256 ? 6 : 1));
/** Some scores are equal, so the leftmost pair counts. */
const SCORES = TOKENS.map((_, id) => (id < 4 + 256 ? 0 : -Math.floor((id - 260) / 3)));
const vocabulary = { model: 'llama', tokens: TOKENS, tokenTypes: TYPES, scores: SCORES, unknownId: 0 };
const tokenizer = tokenizerFromGguf(vocabulary, 'test');

/** The definition: the best pair again and again. */
function plainEncode(text: string): number[] {
  if (text === '') return [];
  const ids = new Map(TOKENS.map((token, id) => [token, id]));
  const idOf = (piece: string) => (TYPES[ids.get(piece) ?? 0] === 1 ? ids.get(piece) : undefined);
  const symbols = [...` ${text}`.replaceAll(' ', '▁')];
  for (;;) {
    let best = -1;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const id = idOf(symbols[i]! + symbols[i + 1]!);
      const before = best < 0 ? undefined : idOf(symbols[best]! + symbols[best + 1]!)!;
      if (id !== undefined && (before === undefined || SCORES[id]! > SCORES[before]!)) best = i;
    }
    if (best < 0) break;
    symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!);
  }
  return symbols.flatMap((symbol) => {
    const id = idOf(symbol);
    return id === undefined ? [...Buffer.from(symbol)].map((byte) => 4 + byte) : [id];
  });
}

const unit = fc.constantFrom('a', 'b', 'é', ' ', '▁', 'x', '日', '🙂', '\n', '</s>', '<0x41>', '<unk>');
const run = fc.tuple(unit, fc.integer({ min: 1, max: 300 })).map(([each, times]) => each.repeat(times));
const anyText = fc.oneof(fc.string({ unit, maxLength: 40 }), run);

describe("SentencePiece's BPE", () => {
  it('equals the definition, from strings and from bytes, and after a way through tokenizer.json', () => {
    const back = parseTokenizer(JSON.parse(JSON.stringify(tokenizer)));
    const out = new TokenBuffer();
    fc.assert(
      fc.property(anyText, (text) => {
        const expected = plainEncode(text);
        out.clear();
        tokenizer.encodeInto(Buffer.from(text), out);
        expect([...tokenizer.encode(text)]).toEqual(expected);
        expect([...out.slice()]).toEqual(expected);
        expect([...back.encode(text)]).toEqual(expected);
        expect(tokenizer.decode(expected)).toBe(text.replaceAll('▁', ' '));
      }),
      { numRuns: 500 },
    );
  });

  it('takes texts of a megabyte, of words and without spaces', () => {
    for (const text of ['ab aab '.repeat(150_000), 'ab'.repeat(500_000), '日'.repeat(300_000)]) {
      const ids = tokenizer.encode(text);
      expect(tokenizer.decode(ids) === text).toBe(true);
    }
  });

  it('makes special tokens of text only when asked, ordinary added ones always, and a space after each', () => {
    const [begin, end, tool] = [1, 2, 3];
    const text = '<s>a<tool>a</s>';
    const ids = [...tokenizer.encode(text)];
    expect(ids.filter((id) => id < 3)).toEqual([]);
    expect(ids).toContain(tool);
    const a = TOKENS.indexOf('▁a');
    expect([...tokenizer.encode(text, { allowedSpecial: 'all' })]).toEqual([begin, a, tool, a, end]);
    expect([...tokenizer.encode('a', { addSpecialTokens: true })]).toEqual([begin, a]);
    expect(tokenizer.decode([begin, a], { skipSpecialTokens: true })).toBe('a');
  });

  it('gives only the first text its space where the file asks for that, in conversations too', () => {
    const first = new SpmTokenizer({
      ...(tokenizer as SpmTokenizer).model,
      spacePrefix: 'first',
      keepsSpace: true,
    });
    const chatTemplate = '{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}';
    const messages = ['a', 'a'].map((content) => ({ role: 'user' as const, content }));
    const [marked, plain] = [TOKENS.indexOf('▁a'), TOKENS.indexOf('a')];
    expect([...encodeChat(first, messages, { chatTemplate })]).toEqual([marked, 2, plain, 2]);
    expect([...encodeChat(tokenizer, messages, { chatTemplate })]).toEqual([marked, 2, marked, 2]);
    expect([...first.encode('a', { continues: true })]).toEqual([plain]);
  });

  it('streams whole characters, whose bytes are tokens', () => {
    const stream = new TextStream();
    const parts = [...tokenizer.encode('日a')].map((id) => stream.push(tokenizer.tokenBytes(id)).text);
    expect(parts).toEqual([' ', '', '', '日', 'a']);
  });

  it('cuts where no token reaches across', () => {
    const cutter = new SpmTokenizer({
      ...(tokenizer as SpmTokenizer).model,
      spacePrefix: 'never',
      dropsSpace: false,
    });
    fc.assert(
      fc.property(anyText, anyText, (left, right) => {
        const bytes = Buffer.from(left + right);
        const cut = cutter.safeCut(bytes, Buffer.byteLength(left));
        const ids = [bytes.subarray(0, cut), bytes.subarray(cut)].flatMap((each) => [
          ...cutter.encode(each.toString()),
        ]);
        expect(ids).toEqual([...cutter.encode(left + right)]);
      }),
    );
    expect(cutter.safeCut(Buffer.from('ab ab'), 1)).toBe(2);
    expect(tokenizer.safeCut(Buffer.from('ab ab'), 1)).toBe(5);
  });

  it.each([
    ['no scores', { scores: undefined }],
    ['a score that is no number', { scores: SCORES.with(5, Number.NaN) }],
    ['too few scores', { scores: [0] }],
    ['too few types', { tokenTypes: [0] }],
    ['a byte that is none', { tokens: TOKENS.with(4, '<0xZZ>') }],
    ['no tokens', { tokens: [] }],
    ['an end beyond the tokens', { endOfTextId: 9999 }],
  ])('refuses %s', (_, change) => {
    expect(() => tokenizerFromGguf({ ...vocabulary, ...change }, 'test')).toThrow(
      expect.objectContaining({ code: 'tokenizer_invalid' }),
    );
  });

  it.each([
    ['another model', { model: 'bert' }],
    ['another pre-tokenizer', { model: 'gpt2', pre: 'unheard-of' }],
  ])('refuses %s as unsupported', (_, change) => {
    expect(() => tokenizerFromGguf({ ...vocabulary, ...change }, 'test')).toThrow(
      expect.objectContaining({ code: 'tokenizer_unsupported' }),
    );
  });

  const llama2c = join(process.env.DABAREX_VECTORS ?? '../shared/vectors', 'models/tok512.bin');
  it.skipIf(!existsSync(llama2c))(
    "reads llama2.c's tokenizer.bin (skipped where the vectors are absent)",
    () => {
      const file = readFileSync(llama2c);
      const small = tokenizerFromLlama2c(file, llama2c);
      expect([small.vocabSize, small.beginOfTextId, small.endOfTextId]).toEqual([512, 1, 2]);
      const text = 'Once upon a time, there was a little girl named Lily. é日\n';
      // biome-ignore format: a list of ids
      expect([...small.encode(text, { addSpecialTokens: true })].slice(0, 16)).toEqual([1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426]);
      expect(small.decode(small.encode(text))).toBe(text);
      for (const end of [file.length - 1, 9]) {
        expect(() => tokenizerFromLlama2c(file.subarray(0, end), 'cut')).toThrow(
          expect.objectContaining({ code: 'tokenizer_invalid' }),
        );
      }
    },
  );
});

describe('added tokens', () => {
  it('take white space along, stand alone, and are sought in normalised text', () => {
    const model = (tokenizer as SpmTokenizer).model;
    const token = (id: number, content: string, more: object) => ({
      ...addedToken({ id, content, special: false }),
      ...more,
    });
    const own = new SpmTokenizer({
      ...model,
      spacePrefix: 'never',
      normalizer: [{ type: 'NFC' }],
      tokens: [...model.tokens, '<pad>', 'xx', 'ö'],
      addedTokens: [
        token(275, '<pad>', { lstrip: true, rstrip: true }),
        token(276, 'xx', { singleWord: true }),
        token(277, 'ö', { normalized: true }),
      ],
    });
    const a = TOKENS.indexOf('a');
    expect([...own.encode('a \n<pad>  a')]).toEqual([a, 275, a]);
    expect([...own.encode('xx axx xx_')].filter((id) => id > 274)).toEqual([276]);
    expect([...own.encode('ao\u0308a')]).toEqual([a, 277, a]);
  });
});
