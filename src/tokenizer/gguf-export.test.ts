import { describe, expect, it } from 'vitest';
import { addedToken } from './added-tokens.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { ggufVocabularyOf, trainBpe, trainChar } from './index.ts';

const trained = trainBpe({ texts: ['the times of the times'], vocabSize: 270 });
const withModel = (change: Partial<BpeTokenizer['model']>) =>
  new BpeTokenizer({ ...trained.model, ...change });

describe('a vocabulary for GGUF', () => {
  it.each([
    ['a token a character', trainChar(['abc']), {}],
    ['fewer rows than tokens', trained, { numTokens: 269 }],
    ['a way of splitting without a name', withModel({ pattern: [{ regex: '.', behavior: 'Isolated' }] }), {}],
    ['a space before texts', withModel({ addPrefixSpace: true }), {}],
    ['normal forms that change texts', withModel({ normalizer: [{ type: 'Lowercase' }] }), {}],
    ['other tokens around a text', withModel({ prefixIds: [0] }), {}],
    ['merges of one rank', withModel({ ranks: new Int32Array(trained.model.merges.length / 3) }), {}],
    [
      'a token that takes white space',
      withModel({
        addedTokens: [{ ...addedToken({ id: 269, content: '<|pad|>', special: true }), lstrip: true }],
      }),
      {},
    ],
  ] as const)('is refused for %s', (_, tokenizer, options) => {
    expect(() => ggufVocabularyOf(tokenizer, options)).toThrow(
      expect.objectContaining({ code: 'tokenizer_not_representable' }),
    );
  });
});
