/**
 * A model on disk as a folder: config.json, model.safetensors (Hugging Face's names, f32), tokenizer.json,
 * generation_config.json. What Hugging Face's DBRX classes read, and what every command and the server take.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError, writeFileAtomic } from '../base/index.ts';
import { checkTensors, readSafetensors, verifyChecksums, writeSafetensors } from '../checkpoint/index.ts';
import {
  createKernels,
  type Precision,
  packedFormatOf,
  resolvePrecision,
  type WeightKind,
} from '../tensor/index.ts';
import { loadTokenizer, saveTokenizer, type Tokenizer } from '../tokenizer/index.ts';
import type { ModelConfig } from './config.ts';
import {
  fromHuggingFaceConfig,
  huggingFaceTensors,
  type NamedTensor,
  toHuggingFaceConfig,
} from './families/dbrx.ts';
import { Transformer } from './transformer.ts';

const WEIGHTS = 'model.safetensors';

export interface LoadModelOptions {
  readonly threads: number;
  readonly precision: Precision | 'auto';
  /** default: as `precision` says. With it, activations stay in f32. */
  readonly weights?: WeightKind;
}

export interface LoadedModel {
  readonly model: Transformer;
  readonly tokenizer: Tokenizer;
}

/**
 * Loads a model folder for inference. Of a checkpoint the weights' checksum is verified.
 * @throws file_missing, config_invalid, checkpoint_corrupt, safetensors_invalid, checkpoint_mismatch, tokenizer_invalid
 */
export function loadModelFolder(dir: string, options: LoadModelOptions): LoadedModel {
  const config = readModelConfig(dir);
  const kernels = createKernels({ threads: options.threads });
  const { weights } = options;
  const precision = weights === undefined ? resolvePrecision(kernels, options.precision) : 'f32';
  const format = weights === undefined ? precision : packedFormatOf(weights);
  const model = new Transformer(config, kernels, { precision, format, trainable: false });
  verifyChecksums(dir, [WEIGHTS]);
  readWeights(model, join(dir, WEIGHTS));
  return { model, tokenizer: loadTokenizer(join(dir, 'tokenizer.json')) };
}

/** The shape a folder's config.json describes. @throws file_missing, config_invalid */
export function readModelConfig(dir: string): ModelConfig {
  const path = join(dir, 'config.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new DabarexError('file_missing', `${path} cannot be read. Check the path.`, { path }, { cause });
  }
  try {
    return fromHuggingFaceConfig(JSON.parse(text), path);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new DabarexError('config_invalid', `${path} is not JSON (${error.message}). Restore the file.`, {
      path,
    });
  }
}

/** Whether a folder holds a model of this shape. @throws file_missing, config_invalid */
export function hasShape(dir: string, config: ModelConfig): boolean {
  const shapeOf = (each: ModelConfig) => JSON.stringify(toHuggingFaceConfig(each));
  return shapeOf(readModelConfig(dir)) === shapeOf(config);
}

/** Fills the model's parameters from a file with Hugging Face's names. @throws safetensors_invalid, checkpoint_mismatch */
export function readWeights(model: Transformer, path: string): void {
  const file = readSafetensors(path);
  try {
    const wanted = huggingFaceTensors(model.config, model.parameters);
    checkTensors(file, new Map(wanted.map(({ name, shape }) => [name, shape])));
    for (const { name, parts } of wanted) {
      const values = file.read(name);
      let offset = 0;
      for (const part of parts) {
        part.set(values.subarray(offset, offset + part.length));
        offset += part.length;
      }
    }
  } finally {
    file.close();
  }
  for (const { tensor } of model.parameters) tensor.version++;
}

/**
 * Writes a model folder that {@link loadModelFolder} and Hugging Face's DBRX classes read; weights in f32.
 * @returns the checksum of the weights, by the name of their file
 */
export function saveModelFolder(
  dir: string,
  model: Transformer,
  tokenizer: Tokenizer,
): Record<string, string> {
  mkdirSync(dir, { recursive: true });
  const tensors = huggingFaceTensors(model.config, model.parameters).map((tensor) => ({
    name: tensor.name,
    dtype: 'F32' as const,
    shape: tensor.shape,
    data: () => joined(tensor),
  }));
  const checksum = writeSafetensors(join(dir, WEIGHTS), tensors);
  saveTokenizer(join(dir, 'tokenizer.json'), tokenizer);
  writeJson(join(dir, 'generation_config.json'), { eos_token_id: [tokenizer.endOfTextId] });
  writeJson(join(dir, 'config.json'), toHuggingFaceConfig(model.config));
  return { [WEIGHTS]: checksum };
}

function joined({ parts }: NamedTensor): Float32Array {
  if (parts.length === 1 && parts[0] instanceof Float32Array) return parts[0];
  const values = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    values.set(part, offset);
    offset += part.length;
  }
  return values;
}

function writeJson(path: string, value: unknown): void {
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}
