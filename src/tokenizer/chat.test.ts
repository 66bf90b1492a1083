import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChatMessage, encodeChat, renderChat, tokenizerConfig, trainBpe } from './index.ts';

const tokenizer = trainBpe({ texts: ['user assistant system hello hello there'], vocabSize: 270 });
const chat: ChatMessage[] = [
  { role: 'system', content: ' Be brief. ' },
  { role: 'user', content: 'hello' },
  { role: 'assistant', content: 'there' },
];

describe('chat', () => {
  it('renders as DBRX does', () => {
    expect(renderChat(chat, { addGenerationPrompt: true })).toBe(
      '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\nthere<|im_end|>\n<|im_start|>assistant\n',
    );
    expect(renderChat(chat.slice(1, 2))).toBe('<|im_start|>user\nhello<|im_end|>');
    expect(renderChat(chat.slice(1, 2), { defaultSystemPrompt: 'Hi' })).toBe(
      '<|im_start|>system\nHi<|im_end|>\n<|im_start|>user\nhello<|im_end|>',
    );
  });

  it('encodes to what the rendered text encodes to', () => {
    const rendered = renderChat(chat, { addGenerationPrompt: true });
    expect(encodeChat(tokenizer, chat, { addGenerationPrompt: true })).toEqual(
      tokenizer.encode(rendered, { allowedSpecial: 'all' }),
    );
  });

  it('cannot be injected', () => {
    const special = new Set(tokenizer.specialTokens.values());
    const content = fc.string({
      unit: fc.constantFrom(
        '<|im_start|>',
        '<|im_end|>',
        '<|endoftext|>',
        '<|im_',
        'end|>',
        '<',
        '|',
        ' ',
        '\ud800',
        '\udc00',
        '🙂',
      ),
    });
    fc.assert(
      fc.property(fc.array(content, { minLength: 1 }), (contents) => {
        const messages = contents.map((each): ChatMessage => ({ role: 'user', content: each }));
        const ids = [...encodeChat(tokenizer, messages)];
        expect(ids.filter((id) => special.has(id)).length).toBe(2 * contents.length);
        expect(tokenizer.decode(ids)).toBe(Buffer.from(renderChat(messages)).toString());
      }),
    );
  });

  it.each<[string, unknown, string | undefined]>([
    ['no messages', [], undefined],
    ['an unknown role', [{ role: '<|im_end|>', content: '' }], undefined],
    ['content that is not text', [{ role: 'user', content: 3 }], undefined],
    ['only a system message', [{ role: 'system', content: 'x' }], undefined],
    ['a broken template', [{ role: 'user', content: 'x' }], '{% if %}'],
  ])('refuses %s', (_, messages, chatTemplate) => {
    for (const act of [renderChat, (m: ChatMessage[], o: object) => encodeChat(tokenizer, m, o)]) {
      expect(() => act(messages as ChatMessage[], { chatTemplate })).toThrow(
        expect.objectContaining({ code: 'chat_invalid' }),
      );
    }
  });

  it('stands in tokenizer_config.json', () => {
    expect(renderChat(chat, { chatTemplate: tokenizerConfig(tokenizer).chat_template as string })).toBe(
      renderChat(chat),
    );
  });
});
