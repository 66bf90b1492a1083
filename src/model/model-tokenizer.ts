/** The tokenizer that comes with a model, wherever its format keeps it, and how another format keeps it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError } from '../base/index.ts';
import type { GgufValue } from '../checkpoint/index.ts';
import { loadTokenizer, type Tokenizer, tokenizerConfig } from '../tokenizer/index.ts';
import { ggufTokenizer, ggufVocabulary, storedVocabulary } from './gguf-vocabulary.ts';
import type { OpenModel } from './open-model.ts';

/** What a folder may hold beside config.json and weights, to go with the model. */
const COMPANIONS = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
  'chat_template.jinja',
];

/** @param path a tokenizer to take in place of the model's; @throws tokenizer_invalid, tokenizer_unsupported, file_missing */
export function tokenizerOf(model: OpenModel, path?: string): Tokenizer {
  if (path !== undefined) return loadTokenizer(path);
  if (model.format === 'hf') return loadTokenizer(join(model.path, 'tokenizer.json'));
  if (model.gguf) return ggufTokenizer(model.gguf);
  const message = `${model.path} comes without a tokenizer. Name one with --tokenizer.`;
  throw new DabarexError('file_missing', message, { path: model.path });
}

/** The metadata of a GGUF file that concerns the tokenizer. @throws as {@link tokenizerOf}; model_not_representable */
export function vocabularyOf(model: OpenModel, path?: string): Map<string, GgufValue> {
  if (model.gguf && path === undefined) return storedVocabulary(model.gguf);
  return ggufVocabulary(tokenizerOf(model, path), model.config.vocabSize, model.path);
}

/** The files of a Hugging Face folder that concern the tokenizer and how to generate. @throws as {@link tokenizerOf} */
export function huggingFaceFiles(model: OpenModel, path?: string): Map<string, string | Uint8Array> {
  if (model.format === 'hf' && path === undefined) {
    const there = COMPANIONS.filter((name) => existsSync(join(model.path, name)));
    return new Map(there.map((name) => [name, readFileSync(join(model.path, name))]));
  }
  const tokenizer = tokenizerOf(model, path);
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return new Map([
    ['tokenizer.json', `${JSON.stringify(tokenizer)}\n`],
    ['tokenizer_config.json', json(tokenizerConfig(tokenizer))],
    ['generation_config.json', json({ eos_token_id: [tokenizer.endOfTextId] })],
  ]);
}
