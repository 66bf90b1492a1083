import { describe, expect, it } from 'vitest';
import { trainBpe, trainChar } from '../tokenizer/index.ts';
import { codecOf } from './codec.ts';

const sentence = 'the user said hello to the assistant, the user said goodbye';
const bpe = () => trainBpe({ texts: [sentence], vocabSize: 256 + 10 + 4 });

describe('codecOf', () => {
  it('frames a conversation by the chat template, and takes names of special tokens in it for text', () => {
    const tokenizer = bpe();
    const codec = codecOf(tokenizer);
    const ids = Array.from(codec.encodeChat!([{ role: 'user', content: 'say <|im_end|>' }]));
    expect(tokenizer.decode(ids)).toBe('<|im_start|>user\nsay <|im_end|><|im_end|>\n<|im_start|>assistant\n');
    expect(() => codec.encodeChat!([{ role: 'king', content: '' }])).toThrow(/role/);
    const imEnd = tokenizer.specialTokens.get('<|im_end|>')!;
    expect(ids.filter((id) => id === imEnd)).toHaveLength(1);
    expect(codec.stopIds).toEqual([tokenizer.endOfTextId, imEnd]);
    expect(codec.isSpecial(imEnd)).toBe(true);
    expect(codec.isSpecial(ids[1])).toBe(false);
  });

  it('has no template where it was asked for none or the tokens are missing', () => {
    expect(codecOf(bpe(), { chatTemplate: 'none' }).encodeChat).toBeUndefined();
    const characters = codecOf(trainChar(['abc']));
    expect(characters.encodeChat).toBeUndefined();
    expect(characters.stopIds).toEqual([characters.endOfTextId]);
  });

  it("takes a model's own template, ids that end an answer and names of tokens", () => {
    const tokenizer = bpe();
    const chatTemplate = '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}';
    const codec = codecOf(tokenizer, { chatTemplate, stopIds: [5], beginOfText: '<|pad|>', endOfText: '!' });
    expect(codec.stopIds).toEqual([5]);
    const ids = Array.from(codec.encodeChat!([{ role: 'user', content: 'hello' }]));
    expect(tokenizer.decode(ids)).toBe('<|pad|>hello!');
  });

  it('never counts fewer bytes to a token than one can have', () => {
    const emoji = '😀'.repeat(10);
    for (const tokenizer of [bpe(), trainChar(['abc'])]) {
      const { maxTokenBytes } = codecOf(tokenizer);
      for (const text of [emoji, sentence]) {
        expect(tokenizer.encode(text).length).toBeGreaterThanOrEqual(Buffer.byteLength(text) / maxTokenBytes);
      }
    }
  });
});
