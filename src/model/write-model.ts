/**
 * Writes a model in another format, tensor by tensor: memory holds one piece of the source and one part of the target.
 */
import { join } from 'node:path';
import { DabarexError, type OnProgress } from '../base/index.ts';
import {
  type GgmlType,
  type GgufTensorToWrite,
  type GgufValue,
  ggmlBytes,
  quantizeParts,
  writeGguf,
  writeHfFolder,
} from '../checkpoint/index.ts';
import { createKernels, type Kernels, type QuantizableFormat } from '../tensor/index.ts';
import { u32 } from './families/gguf-settings.ts';
import { formatsOf } from './families/index.ts';
import { divisorsOf } from './families/rope-divisors.ts';
import type { OpenModel } from './open-model.ts';
import { joined, type StoredTensor, storedValues } from './weight-map.ts';

/** Types of weights, as people write them. */
export const WEIGHT_TYPES = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_k', 'q6_k'] as const;
export type WeightType = (typeof WEIGHT_TYPES)[number];

export interface WriteModelOptions {
  readonly type: WeightType;
  /** the most a file may have, unless a single tensor has more; default: one file */
  readonly shardBytes?: number;
  /** put in the place of a folder that is there; default: such a folder is an error, unless it is empty. Files are replaced. */
  readonly replace?: boolean;
  /** turn values into the blocks of quantised files; default: those of this machine, on one thread */
  readonly kernels?: Kernels;
  /** unit bytes, of weights written */
  readonly onProgress?: OnProgress;
}

export interface HuggingFaceExtras {
  /** by name: tokenizer.json, tokenizer_config.json, generation_config.json */
  readonly files: ReadonlyMap<string, string | Uint8Array>;
}

const HF_DTYPES: Partial<Record<WeightType, keyof typeof TORCH_DTYPES>> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
};
const TORCH_DTYPES = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;

/**
 * Writes a folder of Hugging Face's, whole or not at all.
 * @returns the paths of the files of weights
 * @throws model_not_representable for types that only GGUF has; weights_not_representable; path_unusable, disk_full
 */
export function writeHuggingFace(
  model: OpenModel,
  dir: string,
  extras: HuggingFaceExtras,
  options: WriteModelOptions,
): string[] {
  const { config } = model;
  const { huggingFace } = formatsOf(config.family);
  const dtype = HF_DTYPES[options.type];
  if (!dtype) {
    throw notRepresentable(
      dir,
      `Hugging Face’s folders have no ${options.type}`,
      'Write GGUF, or f32, f16 or bf16.',
    );
  }
  const layout = huggingFace.layouts[0](config);
  const count = counter(layout, options);
  const tensors = layout.map((tensor) => ({
    name: tensor.name,
    dtype,
    shape: tensor.shape,
    data: () => count(joined(tensor, storedValues(tensor, model.pieces, model.read))),
  }));
  const written = { ...huggingFace.writeConfig(config), torch_dtype: TORCH_DTYPES[dtype] };
  const files = new Map<string, string | Uint8Array>([
    ...extras.files,
    ['config.json', `${JSON.stringify(written, null, 2)}\n`],
  ]);
  const checksums = writeHfFolder(dir, { tensors, files }, options);
  return Object.keys(checksums).map((name) => join(dir, name));
}

/**
 * Writes a GGUF file, or its parts. @param vocabulary metadata of the tokenizer
 * @returns the paths written
 * @throws model_not_representable with the reason; gguf_not_representable, weights_not_representable, disk_full
 */
export function writeGgufModel(
  model: OpenModel,
  path: string,
  vocabulary: ReadonlyMap<string, GgufValue>,
  options: WriteModelOptions,
): string[] {
  const { config } = model;
  const { gguf } = formatsOf(config.family);
  const reason = gguf.unfit?.(config);
  if (reason) throw notRepresentable(path, reason, 'Keep it as a Hugging Face folder.');
  const layout = gguf.layouts[0](config);
  const count = counter(layout, options);
  const { kernels = createKernels() } = options;
  const tensors: GgufTensorToWrite[] = layout.map((tensor) => {
    const type = tensorType(tensor, options.type);
    const parts = () => counted(storedValues(tensor, model.pieces, model.read), count);
    return {
      name: tensor.name,
      type,
      shape: tensor.shape,
      parts: () => quantizeParts(parts(), type as QuantizableFormat, tensor.name, kernels),
    };
  });
  if (config.ropeScaling?.kind === 'llama3') tensors.push(divisors(config, config.ropeScaling));
  const metadata = new Map<string, GgufValue>([
    ...gguf.writeConfig(config),
    ['general.file_type', u32(FILE_TYPES[options.type])],
    ...(isQuantized(options.type) ? [['general.quantization_version', u32(2)] as const] : []),
    ...vocabulary,
  ]);
  return writeGguf(path, { metadata, tensors }, { shardBytes: options.shardBytes });
}

function divisors(config: OpenModel['config'], scaling: Parameters<typeof divisorsOf>[1]): GgufTensorToWrite {
  const values = divisorsOf(config, scaling);
  const parts = () => [new Uint8Array(values.buffer)];
  return { name: 'rope_freqs.weight', type: 'F32', shape: [values.length], parts };
}

/** `general.file_type`. @see ggml-org/llama.cpp, enum llama_ftype */
const FILE_TYPES: Readonly<Record<WeightType, number>> = {
  f32: 0,
  f16: 1,
  bf16: 32,
  q8_0: 7,
  q4_0: 2,
  q4_k: 14,
  q6_k: 18,
};

function isQuantized(type: WeightType): boolean {
  return type.startsWith('q');
}

/**
 * The type of one tensor: as llama-quantize chooses. Vectors, norms, routers and position tables stay f32; the output matrix of a
 * four-bit file has six bits; rows that are no whole blocks of 256 take the nearest type with smaller ones.
 */
function tensorType({ name, shape }: StoredTensor, type: WeightType): GgmlType {
  const wanted = type.toUpperCase() as GgmlType;
  if (shape.length === 1 || /norm|ffn_gate_inp|position_embd/.test(name)) return 'F32';
  if (!isQuantized(type)) return wanted;
  const [first, ...rest]: GgmlType[] =
    wanted === 'Q4_K' && name === 'output.weight'
      ? ['Q6_K', 'Q8_0']
      : wanted === 'Q4_K'
        ? ['Q4_K', 'Q5_0']
        : wanted === 'Q6_K'
          ? ['Q6_K', 'Q8_0']
          : [wanted];
  return [first!, ...rest].find((each) => !Number.isNaN(ggmlBytes(each, shape))) ?? 'F16';
}

function counter(layout: readonly StoredTensor[], { onProgress }: WriteModelOptions) {
  const total = 4 * layout.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  let done = 0;
  return (values: Float32Array): Float32Array => {
    done += values.byteLength;
    onProgress?.({ stage: 'write', done, total, unit: 'bytes' });
    return values;
  };
}

function* counted(parts: Iterable<Float32Array>, count: (part: Float32Array) => Float32Array) {
  for (const part of parts) yield count(part);
}

function notRepresentable(path: string, reason: string, remedy: string): DabarexError {
  return new DabarexError('model_not_representable', `${path} cannot hold this model: ${reason}. ${remedy}`, {
    path,
    reason,
  });
}
