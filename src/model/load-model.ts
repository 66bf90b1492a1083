/** A model of any format, loaded for inference: weights packed piece by piece as products read them, nothing kept twice. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { verifyChecksums } from '../checkpoint/index.ts';
import {
  createKernels,
  type Precision,
  packedFormatOf,
  resolvePrecision,
  type WeightKind,
} from '../tensor/index.ts';
import type { LoadedTokenizer } from '../tokenizer/index.ts';
import { fillWeights, WEIGHTS } from './folder.ts';
import { loadTokenizerOf } from './model-tokenizer.ts';
import { type OpenModel, openModel } from './open-model.ts';
import { Transformer } from './transformer.ts';

export interface LoadModelOptions {
  readonly threads: number;
  readonly precision: Precision | 'auto';
  /** default: as `precision` says; of a file that keeps weights in fewer bits, as close as this engine comes. With it, activations stay in f32. */
  readonly weights?: WeightKind;
  /** a tokenizer for a model that comes without */
  readonly tokenizerPath?: string;
}

/** A model, its tokenizer, and what goes with it in conversations. */
export interface LoadedModel extends LoadedTokenizer {
  readonly model: Transformer;
}

/**
 * Loads a folder, a GGUF file or a llama2.c file: see {@link openModel}. Of a checkpoint the weights' checksum is verified.
 * @throws what openModel throws; checkpoint_corrupt, tokenizer_invalid
 */
export function loadModel(path: string, options: LoadModelOptions): LoadedModel {
  const kernels = createKernels({ threads: options.threads });
  if (existsSync(join(path, 'config.json'))) verifyChecksums(path, [WEIGHTS]);
  const source = openModel(path, kernels);
  try {
    const tokenizer = loadTokenizerOf(source, options.tokenizerPath);
    const weights = options.weights ?? storedKind(source);
    const precision = weights === undefined ? resolvePrecision(kernels, options.precision) : 'f32';
    const format = weights === undefined ? precision : packedFormatOf(weights);
    const shared = { precision, format, trainable: false, packedOnly: true } as const;
    const model = new Transformer(source.config, kernels, shared);
    fillWeights(model, source.pieces.values(), source.read);
    return { model, ...tokenizer };
  } finally {
    source.close();
  }
}

/** How to keep the weights of a file that is not in f32: by the type of most of its bytes. */
function storedKind({ tensors }: OpenModel): WeightKind | undefined {
  const bytes = new Map<string, number>();
  for (const { type, sizeBytes } of tensors) bytes.set(type, (bytes.get(type) ?? 0) + sizeBytes);
  const [type] = [...bytes].sort(([, a], [, b]) => b - a)[0] ?? ['F32'];
  if (type === 'F32' || type === 'F64') return undefined;
  return type === 'BF16' || type === 'F16' ? 'bf16' : 'int8';
}
