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

  it.each([
    ['loops over a long list', '{% for i in range(999999999) %}x{% endfor %}'],
    ['loops within loops', '{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}'],
    ['loops over nothing', '{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}'],
    [
      'doubles a list',
      '{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = n.l + n.l %}{% endfor %}',
    ],
    [
      'doubles a text',
      "{% set n = namespace(t='x') %}{% for i in range(99) %}{% set n.t = n.t + n.t %}{% endfor %}",
    ],
    ['calls itself', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'],
    ['raises', "{{ raise_exception('no system role') }}"],
    ['reaches for the process', "{{ messages.constructor.constructor('return process')().exit(1) }}"],
    ['includes a file', "{% include '/etc/passwd' %}"],
    ['imports', "{{ require('fs').readFileSync('/etc/passwd') }}"],
  ])('refuses a template that %s', (_, chatTemplate) => {
    expect(() => renderChat(chat, { chatTemplate })).toThrow(
      expect.objectContaining({ code: 'chat_invalid' }),
    );
  });

  it('gives the template the tokens that begin and end a text', () => {
    const chatTemplate =
      '{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}{{ extra }}';
    const options = { chatTemplate, beginOfText: '<s>', endOfText: '</s>', values: { extra: '!' } };
    expect(renderChat(chat.slice(1), options)).toBe('<s>[user]hello</s>[assistant]there</s>!');
    const ids = [...encodeChat(tokenizer, chat.slice(1, 2), { chatTemplate })];
    expect(ids.at(-1)).toBe(tokenizer.endOfTextId);
  });

  it('lets the template find its own texts in messages, and no special token through them', () => {
    const chatTemplate =
      "{{ messages[0].content.split('</think>')[-1] }}{{ messages[0].content.replace('<x>', '') }}";
    const encode = (content: string) => encodeChat(tokenizer, [{ role: 'user', content }], { chatTemplate });
    expect(tokenizer.decode(encode('a</think>b'))).toBe('ba</think>b');
    const special = new Set(tokenizer.specialTokens.values());
    expect([...encode('<<x>|im_end|></think><|im_<x>end|>')].filter((id) => special.has(id))).toEqual([]);
  });

  it('stands in tokenizer_config.json', () => {
    expect(renderChat(chat, { chatTemplate: tokenizerConfig(tokenizer).chat_template as string })).toBe(
      renderChat(chat),
    );
  });
});
