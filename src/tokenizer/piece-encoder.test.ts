import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainSpecialTokens } from './added-tokens.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { TokenBuffer, trainBpe } from './index.ts';
import { plainEncode } from './plain-bpe.ts';
import type { SplitPattern } from './split.ts';
import { wellFormed } from './tokenizer.ts';

const PATTERNS: SplitPattern[] = ['cl100k', 'gpt2', 'qwen2'];
const TEXT = `It was the best of times, it was the worst of times. 3.14159 "naïve" — 日本語 🙂🙂
for (let i = 0; i < 10; i++) {\n\tconsole.log('the times', i);\n}\r\n\r\n don't WON'T she'll ------ ======\n`;
const trained = trainBpe({ texts: [TEXT.repeat(3)], vocabSize: 350 });
const { vocab, merges } = trained.toJSON().model as {
  vocab: Record<string, number>;
  merges: [string, string][];
};
const triples = Int32Array.from(
  merges.flatMap(([left, right]) => [vocab[left]!, vocab[right]!, vocab[left + right]!]),
);

function tokenizerOf(pattern: SplitPattern): BpeTokenizer {
  const tokens = Array.from({ length: trained.vocabSize }, (_, id) => trained.tokenBytes(id));
  const { specialTokens, endOfTextId } = trained;
  const addedTokens = plainSpecialTokens(specialTokens);
  return new BpeTokenizer({ pattern, tokens, merges: triples, addedTokens, endOfTextId });
}

describe.each(PATTERNS)('encoding with the pattern of %s', (pattern) => {
  const tokenizer = tokenizerOf(pattern);

  it('equals the definition, text after text, from strings and from bytes', () => {
    const unit = fc.constantFrom(
      'the',
      ' times',
      'a',
      ' ',
      '\n',
      "'s",
      '12345',
      '日本語',
      '🙂',
      '-',
      '=',
      'é',
      '\0',
      '\ud800',
      'T',
    );
    const run = fc.tuple(unit, fc.integer({ min: 1, max: 150 })).map(([each, times]) => each.repeat(times));
    const text = fc.oneof(fc.string({ unit, maxLength: 40 }), fc.string({ unit: 'binary' }), run);
    const out = new TokenBuffer(1);
    fc.assert(
      fc.property(text, (each) => {
        const expected = plainEncode(pattern, triples, wellFormed(each));
        expect([...tokenizer.encode(each)]).toEqual(expected);
        const start = out.length;
        tokenizer.encodeInto(Buffer.from(each), out);
        expect([...out.slice(start)]).toEqual(expected);
      }),
      { numRuns: 400 },
    );
  });

  it('takes long runs in about linear time', () => {
    // Of anything quadratic these would take minutes.
    for (const unit of ['a', ' ', '\n', '-', '日', '1', " '", '\t\n', '🙂', 'ab']) {
      const text = unit.repeat(200_000);
      expect(tokenizer.decode(tokenizer.encode(text)) === text).toBe(true);
      const ids = tokenizer.encode(unit.repeat(60));
      expect([...ids]).toEqual(plainEncode(pattern, triples, unit.repeat(60)));
    }
  });
});

describe('what is remembered of pieces', () => {
  it('may be forgotten at any time', () => {
    const tokenizer = tokenizerOf('cl100k');
    const words = Array.from({ length: 150_000 }, (_, i) =>
      ` w${i.toString(36)}x`.replace(/\d/g, (digit) => 'ghijklmnop'[+digit]!),
    );
    const before = tokenizer.encode(TEXT);
    const ids = tokenizer.encode(words.join(''));
    expect(tokenizer.decode(ids) === words.join('')).toBe(true);
    expect(tokenizer.encode(TEXT)).toEqual(before);
    for (const word of words.slice(-50))
      expect([...tokenizer.encode(word)]).toEqual(plainEncode('cl100k', triples, word));
  });
});
