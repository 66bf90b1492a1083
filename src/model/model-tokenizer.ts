/** The tokenizer that comes with a model, wherever its format keeps it. */
import { join } from 'node:path';
import { DabarexError } from '../base/index.ts';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.ts';
import type { OpenModel } from './open-model.ts';

/** @param path a tokenizer to take in place of the model's; @throws tokenizer_invalid, file_missing */
export function tokenizerOf(model: OpenModel, path?: string): Tokenizer {
  if (path !== undefined) return loadTokenizer(path);
  if (model.format === 'hf') return loadTokenizer(join(model.path, 'tokenizer.json'));
  throw new DabarexError(
    'file_missing',
    `${model.path} comes without a tokenizer. Name one with --tokenizer.`,
    { path: model.path },
  );
}
