import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizerFolder, trainBpe } from './index.ts';

const trained = trainBpe({
  texts: ['the times of the times, it was the best of times, it was the worst of times'],
  vocabSize: 272,
  specialTokens: ['<|endoftext|>', '<|im_end|>', '<s>', '</s>'],
});
const id = (text: string) => trained.specialTokens.get(text)!;
let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'tokenizer-folder-'));
});
afterAll(() => rmSync(root, { recursive: true }));

/** A folder of these files, with the tokenizer above. */
function folderOf(files: Readonly<Record<string, unknown>>): string {
  const dir = mkdtempSync(join(root, 'x-'));
  mkdirSync(dir, { recursive: true });
  for (const [name, content] of Object.entries({ 'tokenizer.json': trained, ...files })) {
    writeFileSync(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return dir;
}

describe('the tokenizer of a folder', () => {
  it('is whole with tokenizer.json alone', () => {
    const loaded = loadTokenizerFolder(folderOf({}));
    expect(loaded.stopIds).toEqual([id('<|endoftext|>')]);
    expect(loaded.chatTemplate).toBeUndefined();
    expect(loaded.tokenizer.encode('the times')).toEqual(trained.encode('the times'));
  });

  it('stops at the ids of generation_config.json and at the end of text', () => {
    const config = { eos_token: '<|im_end|>', bos_token: { content: '<s>', lstrip: false } };
    for (const eos_token_id of [id('</s>'), [id('</s>'), id('<|im_end|>')]]) {
      const loaded = loadTokenizerFolder(
        folderOf({ 'tokenizer_config.json': config, 'generation_config.json': { eos_token_id } }),
      );
      expect(loaded.stopIds).toEqual([id('</s>'), id('<|im_end|>')]);
      expect(loaded).toMatchObject({ beginOfText: '<s>', endOfText: '<|im_end|>' });
      expect(loaded.tokenizer.beginOfTextId).toBe(id('<s>'));
    }
  });

  it('takes names from special_tokens_map.json, and puts tokens around texts as Llama does', () => {
    const files = {
      'special_tokens_map.json': { bos_token: '<s>', eos_token: { content: '</s>' } },
      'tokenizer_config.json': {
        tokenizer_class: 'LlamaTokenizerFast',
        add_bos_token: true,
        add_eos_token: false,
      },
    };
    const { tokenizer, stopIds } = loadTokenizerFolder(folderOf(files));
    expect(stopIds).toEqual([id('</s>')]);
    expect(tokenizer.encode('the', { addSpecialTokens: true })[0]).toBe(id('<s>'));
    expect(tokenizer.encode('the')).toEqual(trained.encode('the'));
  });

  it('prefers the template in a file of its own, and the default of several', () => {
    const many = [
      { name: 'tools', template: 'T' },
      { name: 'default', template: 'D' },
    ];
    const config = { 'tokenizer_config.json': { chat_template: many } };
    expect(loadTokenizerFolder(folderOf(config)).chatTemplate).toBe('D');
    expect(loadTokenizerFolder(folderOf({ ...config, 'chat_template.jinja': 'J' })).chatTemplate).toBe('J');
  });

  it.each([
    ['tokenizer_config.json', { add_bos_token: 'yes' }],
    ['generation_config.json', { eos_token_id: 999 }],
    ['generation_config.json', '{'],
  ])('names a broken %s', (name, content) => {
    expect(() => loadTokenizerFolder(folderOf({ [name]: content }))).toThrow(
      expect.objectContaining({ code: 'tokenizer_invalid', message: expect.stringContaining(name) }),
    );
  });
});
