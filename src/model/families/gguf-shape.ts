/** A model's shape out of a GGUF file's settings. */
import { parseConfig } from '../../base/index.ts';
import { completeModelConfig, type ModelConfig, modelConfigSchema } from '../config.ts';
import type { GgufDescription } from './formats.ts';

/** Checks and completes; embeddings are tied where the file has no output matrix. @throws config_invalid */
export function completeShape(file: GgufDescription, shape: object): ModelConfig {
  const tieEmbeddings = !file.hasTensor('output.weight');
  const parsed = parseConfig(modelConfigSchema, { tieEmbeddings, ...shape }, file.path);
  return completeModelConfig(parsed);
}
