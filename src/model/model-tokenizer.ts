/** The tokenizer that comes with a model, wherever its format keeps it, and how another format keeps it. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DabarexError, fileError } from '../base/index.ts';
import type { GgufValue } from '../checkpoint/index.ts';
import {
  ggufVocabularyOf,
  type LoadedTokenizer,
  loadTokenizer,
  loadTokenizerFolder,
  stopIdsOfGguf,
  type Tokenizer,
  tokenizerConfig,
  tokenizerFromGguf,
  tokenizerFromLlama2c,
} from '../tokenizer/index.ts';
import { ggufVocabularyMetadata, readGgufVocabulary } from './gguf-vocabulary.ts';
import type { OpenModel } from './open-model.ts';

/** What a folder may hold beside config.json and weights, to go with the model. */
const COMPANIONS = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
  'chat_template.jinja',
];

/**
 * @param path a tokenizer to take in place of the model's: a tokenizer.json, or a tokenizer.bin of llama2.c
 * @throws tokenizer_invalid, tokenizer_unsupported; file_missing where there is none
 */
export function loadTokenizerOf(model: OpenModel, path?: string): LoadedTokenizer {
  if (path !== undefined) return alone(path);
  if (model.format === 'hf') return loadTokenizerFolder(model.path);
  const vocabulary = model.gguf && readGgufVocabulary(model.gguf);
  if (vocabulary) {
    const { chatTemplate } = vocabulary;
    return {
      tokenizer: tokenizerFromGguf(vocabulary, model.path),
      stopIds: stopIdsOfGguf(vocabulary),
      ...(chatTemplate === undefined ? {} : { chatTemplate }),
    };
  }
  const beside = join(dirname(model.path), 'tokenizer.bin');
  if (model.format === 'llama2c' && existsSync(beside)) return alone(beside);
  const message = `${model.path} comes without a tokenizer. Name one with --tokenizer.`;
  throw new DabarexError('file_missing', message, { path: model.path });
}

function alone(path: string): LoadedTokenizer {
  const tokenizer = /\.bin$/i.test(path) ? tokenizerFromLlama2c(readBytes(path), path) : loadTokenizer(path);
  return { tokenizer, stopIds: [tokenizer.endOfTextId] };
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw fileError(error, path);
  }
}

/**
 * The metadata of a GGUF file that concerns the tokenizer: copied where the model is one.
 * @throws as {@link loadTokenizerOf}; tokenizer_not_representable
 */
export function vocabularyOf(model: OpenModel, path?: string): Map<string, GgufValue> {
  if (model.gguf && path === undefined) {
    return new Map([...model.gguf.metadata].filter(([key]) => key.startsWith('tokenizer.')));
  }
  const { tokenizer, chatTemplate } = loadTokenizerOf(model, path);
  const options = {
    numTokens: model.config.vocabSize,
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
  return ggufVocabularyMetadata(ggufVocabularyOf(tokenizer, options));
}

/** The files of a Hugging Face folder that concern the tokenizer and how to generate. @throws as {@link loadTokenizerOf} */
export function huggingFaceFiles(model: OpenModel, path?: string): Map<string, string | Uint8Array> {
  if (model.format === 'hf' && path === undefined) {
    const there = COMPANIONS.filter((name) => existsSync(join(model.path, name)));
    return new Map(there.map((name) => [name, readFileSync(join(model.path, name))]));
  }
  const { tokenizer, stopIds, chatTemplate } = loadTokenizerOf(model, path);
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return new Map([
    ['tokenizer.json', `${JSON.stringify(tokenizer)}\n`],
    ['tokenizer_config.json', json(configOf(tokenizer, chatTemplate))],
    ['generation_config.json', json({ eos_token_id: [...stopIds] })],
  ]);
}

/** With the template only where the model came with one. */
function configOf(tokenizer: Tokenizer, chatTemplate: string | undefined): Record<string, unknown> {
  const { chat_template: _, ...config } = tokenizerConfig(tokenizer);
  return chatTemplate === undefined ? config : { ...config, chat_template: chatTemplate };
}
