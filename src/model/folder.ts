/**
 * A model on disk as a folder: config.json, model.safetensors (Hugging Face's names, f32), tokenizer.json,
 * generation_config.json. What Hugging Face's classes of the family read, and what every command and the server take.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/index.ts';
import { readSafetensors, writeSafetensors } from '../checkpoint/index.ts';
import { fillParameter } from '../tensor/index.ts';
import { saveTokenizer, type Tokenizer } from '../tokenizer/index.ts';
import type { ModelConfig } from './config.ts';
import { formatsOf, formatsOfModelType } from './families/index.ts';
import { readConfigJson } from './open-model.ts';
import { type Piece, piecesOf } from './pieces.ts';
import { layoutOf, SafetensorsSource } from './tensor-sources.ts';
import type { Transformer } from './transformer.ts';
import { joined, PieceReader, storedValues } from './weight-map.ts';

/** The file of weights of a folder that is written here. */
export const WEIGHTS = 'model.safetensors';

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
  const byParameter = new Map<string, Piece[]>();
  for (const piece of pieces) {
    byParameter.set(piece.parameter, [...(byParameter.get(piece.parameter) ?? []), piece]);
  }
  const { kernels } = model;
  const largest = Math.max(
    ...model.parameters.map(({ tensor }) => (tensor.data.length > 0 ? 0 : tensor.size)),
  );
  const packing = new Float32Array(kernels.allocate(4 * Math.max(1, largest)));
  for (const parameter of model.parameters) {
    const { tensor, name } = parameter;
    const own = byParameter.get(name)!;
    if (tensor.data.length > 0) {
      for (const piece of own) tensor.data.set(read(piece.name), piece.offset);
      tensor.version++;
      continue;
    }
    for (const piece of own) packing.set(read(piece.name), piece.offset);
    fillParameter(parameter, packing.subarray(0, tensor.size), kernels);
  }
}

/**
 * Writes a model folder that {@link loadModel} and Hugging Face's classes of the family read; weights in f32.
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
