/**
 * A model on disk as a folder: config.json, model.safetensors (Hugging Face's names, f32), tokenizer.json,
 * generation_config.json. What Hugging Face's classes of the family read, and what every command and the server take.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/index.ts';
import { readSafetensors, verifyChecksums, writeSafetensors } from '../checkpoint/index.ts';
import {
  createKernels,
  type Precision,
  packedFormatOf,
  resolvePrecision,
  type WeightKind,
} from '../tensor/index.ts';
import { loadTokenizer, saveTokenizer, type Tokenizer } from '../tokenizer/index.ts';
import type { ModelConfig } from './config.ts';
import { formatsOf, formatsOfModelType } from './families/index.ts';
import { readConfigJson } from './open-model.ts';
import { type Piece, piecesOf } from './pieces.ts';
import { layoutOf, SafetensorsSource } from './tensor-sources.ts';
import { Transformer } from './transformer.ts';
import { PieceReader, storedValues } from './weight-map.ts';
import { joined } from './write-model.ts';

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
 * @throws file_missing, config_invalid, model_family_unknown, checkpoint_corrupt, safetensors_invalid, checkpoint_mismatch, tokenizer_invalid
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

/** The shape a folder's config.json describes. @throws file_missing, config_invalid, model_family_unknown */
export function readModelConfig(dir: string): ModelConfig {
  const value = readConfigJson(dir);
  const path = join(dir, 'config.json');
  const modelType = (value as { model_type?: unknown } | null)?.model_type;
  return formatsOfModelType(modelType, path).huggingFace.readConfig(value, path);
}

/** Whether a folder holds a model of this shape. @throws file_missing, config_invalid, model_family_unknown */
export function hasShape(dir: string, config: ModelConfig): boolean {
  const shapeOf = (each: ModelConfig) => JSON.stringify(huggingFaceConfig(each));
  return shapeOf(readModelConfig(dir)) === shapeOf(config);
}

/** Fills the model's parameters from a file with Hugging Face's names. @throws safetensors_invalid, checkpoint_mismatch */
export function readWeights(model: Transformer, path: string): void {
  const file = readSafetensors(path);
  try {
    const source = new SafetensorsSource(file);
    const pieces = [...piecesOf(model.config)];
    const { layouts } = formatsOf(model.config.family).huggingFace;
    const reader = new PieceReader(source, layoutOf(source, layouts, model.config), pieces);
    fillWeights(model, pieces, (piece) => reader.read(piece));
  } finally {
    file.close();
  }
}

/** Fills the model's parameters piece by piece. */
export function fillWeights(
  model: Transformer,
  pieces: Iterable<Piece>,
  read: (piece: string) => Float32Array,
): void {
  const parameters = new Map(model.parameters.map(({ name, tensor }) => [name, tensor]));
  for (const { name, parameter, offset } of pieces) {
    parameters.get(parameter)!.data.set(read(name), offset);
  }
  for (const { tensor } of model.parameters) tensor.version++;
}

/**
 * Writes a model folder that {@link loadModelFolder} and Hugging Face's classes of the family read; weights in f32.
 * @returns the checksum of the weights, by the name of their file
 */
export function saveModelFolder(
  dir: string,
  model: Transformer,
  tokenizer: Tokenizer,
): Record<string, string> {
  mkdirSync(dir, { recursive: true });
  const { config } = model;
  const pieces = new Map([...piecesOf(config)].map((piece) => [piece.name, piece]));
  const parameters = new Map(model.parameters.map(({ name, tensor }) => [name, tensor.data as Float32Array]));
  const read = (piece: string): Float32Array => {
    const { parameter, offset, shape } = pieces.get(piece)!;
    return parameters.get(parameter)!.subarray(offset, offset + shape.reduce((a, b) => a * b, 1));
  };
  const tensors = formatsOf(config.family)
    .huggingFace.layouts[0](config)
    .map((tensor) => ({
      name: tensor.name,
      dtype: 'F32' as const,
      shape: tensor.shape,
      data: () => joined(tensor, storedValues(tensor, pieces, read)),
    }));
  const checksum = writeSafetensors(join(dir, WEIGHTS), tensors);
  saveTokenizer(join(dir, 'tokenizer.json'), tokenizer);
  writeJson(join(dir, 'generation_config.json'), { eos_token_id: [tokenizer.endOfTextId] });
  writeJson(join(dir, 'config.json'), huggingFaceConfig(config));
  return { [WEIGHTS]: checksum };
}

function huggingFaceConfig(config: ModelConfig): Record<string, unknown> {
  return formatsOf(config.family).huggingFace.writeConfig(config);
}

function writeJson(path: string, value: unknown): void {
  writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}
