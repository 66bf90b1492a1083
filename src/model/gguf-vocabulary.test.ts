import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openGguf, writeGguf } from '../checkpoint/index.ts';
import {
  ggufVocabularyOf,
  parseTokenizer,
  type Tokenizer,
  tokenizerFromGguf,
  trainBpe,
} from '../tokenizer/index.ts';
import { ggufVocabularyMetadata, readGgufVocabulary } from './gguf-vocabulary.ts';

const vectors = join(process.env.DABAREX_VECTORS ?? '../shared/vectors', 'tokenizer');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gguf-vocabulary-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function tokenizerOf(path: string): Tokenizer {
  const file = openGguf(path);
  try {
    return tokenizerFromGguf(readGgufVocabulary(file)!, path);
  } finally {
    file.close();
  }
}

describe.skipIf(!existsSync(vectors))(
  "llama.cpp's vocabularies (skipped where the vectors are absent)",
  () => {
    it.each(['gpt-2', 'llama-spm'])('%s gives its ids, whichever file it is read from', (name) => {
      const path = join(vectors, `ggml-vocab-${name}.gguf`);
      const tokenizer = tokenizerOf(path);
      const texts = readFileSync(`${path}.inp`, 'utf8').split('\n__ggml_vocab_test__\n');
      const lines = readFileSync(`${path}.out`, 'utf8').split('\n');
      expect(texts.length).toBeGreaterThan(40);
      const fromJson = parseTokenizer(JSON.parse(JSON.stringify(tokenizer)));
      const again = join(folder, `${name}.gguf`);
      writeGguf(again, { metadata: ggufVocabularyMetadata(ggufVocabularyOf(tokenizer)), tensors: [] });
      for (const each of [tokenizer, fromJson, tokenizerOf(again)]) {
        texts.forEach((text, i) => {
          expect(each.encode(text).join(' '), text).toBe(lines[i]!.trim());
          expect(each.decode(each.encode(text))).toBe(text);
        });
      }
    });
  },
);

describe('a vocabulary in GGUF', () => {
  it('is filled up to the rows of the model and read back', () => {
    const tokenizer = trainBpe({ texts: ['the times of the times <|im_end|>'], vocabSize: 275 });
    const vocabulary = ggufVocabularyOf(tokenizer, { numTokens: 320, chatTemplate: '{{ messages }}' });
    const path = join(folder, 'trained.gguf');
    writeGguf(path, { metadata: ggufVocabularyMetadata(vocabulary), tensors: [] });
    const file = openGguf(path);
    const read = readGgufVocabulary(file)!;
    file.close();
    expect(read).toMatchObject({
      model: 'gpt2',
      pre: 'dbrx',
      chatTemplate: '{{ messages }}',
      endOfTurnId: 273,
    });
    expect(read.tokens.slice(-2)).toEqual(['[PAD318]', '[PAD319]']);
    expect(new Set(read.tokens).size).toBe(320);
    const back = tokenizerFromGguf(read, path);
    const text = 'at the times<|im_end|>[PAD319]';
    for (const allowedSpecial of ['all', 'none'] as const) {
      expect(back.encode(text, { allowedSpecial })).toEqual(tokenizer.encode(text, { allowedSpecial }));
    }
  });
});
