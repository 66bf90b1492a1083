/**
 * A model in whatever format it comes: a folder with config.json and safetensors (Hugging Face's, and so every checkpoint made here), a GGUF
 * file or one of its parts, a llama2.c file. Opening reads headers only; weights come piece by piece.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError } from '../base/index.ts';
import { type GgufFile, openGguf, openHfFolder, openLlama2c } from '../checkpoint/index.ts';
import { createKernels, type Kernels } from '../tensor/index.ts';
import type { ModelConfig } from './config.ts';
import type { GgufDescription, Layout } from './families/formats.ts';
import { formatsOfGguf, formatsOfModelType } from './families/index.ts';
import { llama2cLayout, llama2cModelConfig } from './families/llama2c.ts';
import { scalingByDivisors } from './families/rope-divisors.ts';
import { type Piece, piecesOf } from './pieces.ts';
import { layoutOf, RowSource, SafetensorsSource } from './tensor-sources.ts';
import { PieceReader, type StoredTensor, type TensorSource } from './weight-map.ts';

export type ModelFormat = 'hf' | 'gguf' | 'llama2c';

/** Tensors as they stand in the file, for those who want to see them. */
export interface TensorDescription {
  readonly name: string;
  readonly shape: readonly number[];
  /** in the format's own words: F32, BF16, Q4_K */
  readonly type: string;
  readonly sizeBytes: number;
}

/** An open model. Close it to give the file handles back. */
export interface OpenModel {
  readonly path: string;
  readonly format: ModelFormat;
  readonly config: ModelConfig;
  readonly pieces: ReadonlyMap<string, Piece>;
  readonly tensors: readonly TensorDescription[];
  /** of a GGUF file */
  readonly gguf?: GgufFile;
  /** Values of a piece, in memory of their own. @throws safetensors_invalid, gguf_invalid, gguf_type_unsupported where the file changed or holds what is not known */
  read(piece: string): Float32Array;
  close(): void;
}

/**
 * @param kernels turn the blocks of quantised files into values; default: those of this machine, on one thread
 * @throws file_missing; model_format_unknown where it is none of the formats; model_family_unknown, config_invalid, checkpoint_mismatch, and what
 * the formats themselves throw: file_missing, safetensors_invalid, gguf_invalid, llama2c_invalid
 */
export function openModel(path: string, kernels: Kernels = createKernels()): OpenModel {
  const format = formatOf(path);
  if (format === 'hf') return openFolder(path, kernels);
  return format === 'gguf' ? openGgufModel(path, kernels) : openLlama2cModel(path);
}

function formatOf(path: string): ModelFormat {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() && existsSync(join(path, 'config.json'))) return 'hf';
  if (found?.isFile() && /\.gguf$/i.test(path)) return 'gguf';
  if (found?.isFile() && /\.bin$/i.test(path)) return 'llama2c';
  if (!found) throw fileMissing(path, 'is not there');
  if (found.isDirectory()) throw fileMissing(path, 'has no config.json');
  throw new DabarexError(
    'model_format_unknown',
    `${path} ends neither in .gguf nor in .bin: no model. ${WHAT_IS_A_MODEL}`,
    { path },
  );
}

const WHAT_IS_A_MODEL =
  'Give a folder with config.json and model.safetensors, a .gguf file, or a .bin of llama2.c.';

function fileMissing(path: string, problem: string): DabarexError {
  return new DabarexError('file_missing', `${path} ${problem}. ${WHAT_IS_A_MODEL}`, { path });
}

/** The config.json of a folder, parsed. @throws file_missing, config_invalid */
export function readConfigJson(dir: string): unknown {
  const path = join(dir, 'config.json');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new DabarexError('file_missing', `${path} cannot be read. Check the path.`, { path }, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `${path} is not JSON (${(cause as Error).message}). Restore the file.`;
    throw new DabarexError('config_invalid', message, { path }, { cause });
  }
}

function openFolder(dir: string, kernels: Kernels): OpenModel {
  const value = readConfigJson(dir);
  const path = join(dir, 'config.json');
  const modelType = (value as { model_type?: unknown } | null)?.model_type;
  const { huggingFace } = formatsOfModelType(modelType, path);
  const config = huggingFace.readConfig(value, path);
  const file = openHfFolder(dir, kernels);
  const tensors = [...file.tensors].map(([name, { dtype, shape, sizeBytes }]) => ({
    name,
    shape,
    type: dtype,
    sizeBytes,
  }));
  const source = new SafetensorsSource(file);
  return opened(
    { path: dir, format: 'hf', config, tensors, close: () => file.close() },
    source,
    huggingFace.layouts,
  );
}

function openGgufModel(path: string, kernels: Kernels): OpenModel {
  const file = openGguf(path, kernels);
  const close = () => file.close();
  try {
    const description: GgufDescription = {
      path,
      metadata: file.metadata,
      hasTensor: (name) => file.tensors.has(name),
    };
    const { gguf } = formatsOfGguf(description);
    const config = withDivisors(gguf.readConfig(description), file);
    const tensors = [...file.tensors.values()].map(({ name, shape, type, sizeBytes }) => ({
      name,
      shape,
      type,
      sizeBytes,
    }));
    const parts = { path, format: 'gguf', config, tensors, gguf: file, close } as const;
    return opened(parts, new RowSource(file, 'last dimension'), gguf.layouts);
  } catch (error) {
    close();
    throw error;
  }
}

/** Llama 3's stretched positions are told by a tensor. */
function withDivisors(config: ModelConfig, file: GgufFile): ModelConfig {
  if (!file.tensors.has('rope_freqs.weight')) return config;
  return { ...config, ropeScaling: scalingByDivisors(file.read('rope_freqs.weight'), config, file.path) };
}

function openLlama2cModel(path: string): OpenModel {
  const file = openLlama2c(path);
  const config = llama2cModelConfig(file);
  const tensors = [...file.tensors].map(([name, { shape, sizeBytes }]) => ({
    name,
    shape,
    type: 'F32',
    sizeBytes,
  }));
  const parts = { path, format: 'llama2c', config, tensors, close: () => file.close() } as const;
  return opened(parts, new RowSource(file, 'all but the first'), [llama2cLayout]);
}

function opened(
  parts: Omit<OpenModel, 'pieces' | 'read'>,
  source: TensorSource,
  layouts: readonly [Layout, ...Layout[]],
): OpenModel {
  try {
    const pieces = new Map([...piecesOf(parts.config)].map((piece) => [piece.name, piece]));
    const layout: StoredTensor[] = layoutOf(source, layouts, parts.config);
    const reader = new PieceReader(source, layout, pieces.values());
    return { ...parts, pieces, read: (piece) => reader.read(piece) };
  } catch (error) {
    parts.close();
    throw error;
  }
}
