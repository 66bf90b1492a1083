/**
 * Types of tensors in GGUF files, with ggml's names and numbers. All that ggml has are known, so that a file with any of them
 * can be listed and copied; values can be read of those in {@link READABLE}.
 * @see https://github.com/ggml-org/ggml/blob/master/include/ggml.h enum ggml_type; sizes: src/ggml-common.h
 */
import { BLOCK_FORMATS, type BlockFormat } from '../../tensor/index.ts';

interface TensorType {
  readonly id: number;
  /** weights of one block */
  readonly weights: number;
  /** of one block */
  readonly bytes: number;
}

const numbered = (id: number, format: BlockFormat): TensorType => ({ id, ...BLOCK_FORMATS[format] });

export const TENSOR_TYPES = {
  F32: numbered(0, 'F32'),
  F16: numbered(1, 'F16'),
  Q4_0: numbered(2, 'Q4_0'),
  Q4_1: numbered(3, 'Q4_1'),
  Q5_0: numbered(6, 'Q5_0'),
  Q5_1: numbered(7, 'Q5_1'),
  Q8_0: numbered(8, 'Q8_0'),
  Q8_1: { id: 9, weights: 32, bytes: 36 },
  Q2_K: numbered(10, 'Q2_K'),
  Q3_K: numbered(11, 'Q3_K'),
  Q4_K: numbered(12, 'Q4_K'),
  Q5_K: numbered(13, 'Q5_K'),
  Q6_K: numbered(14, 'Q6_K'),
  Q8_K: { id: 15, weights: 256, bytes: 292 },
  IQ2_XXS: { id: 16, weights: 256, bytes: 66 },
  IQ2_XS: { id: 17, weights: 256, bytes: 74 },
  IQ3_XXS: { id: 18, weights: 256, bytes: 98 },
  IQ1_S: { id: 19, weights: 256, bytes: 50 },
  IQ4_NL: { id: 20, weights: 32, bytes: 18 },
  IQ3_S: { id: 21, weights: 256, bytes: 110 },
  IQ2_S: { id: 22, weights: 256, bytes: 82 },
  IQ4_XS: { id: 23, weights: 256, bytes: 136 },
  I8: { id: 24, weights: 1, bytes: 1 },
  I16: { id: 25, weights: 1, bytes: 2 },
  I32: { id: 26, weights: 1, bytes: 4 },
  I64: { id: 27, weights: 1, bytes: 8 },
  F64: { id: 28, weights: 1, bytes: 8 },
  IQ1_M: { id: 29, weights: 256, bytes: 56 },
  BF16: numbered(30, 'BF16'),
  TQ1_0: { id: 34, weights: 256, bytes: 54 },
  TQ2_0: { id: 35, weights: 256, bytes: 66 },
  MXFP4: { id: 39, weights: 32, bytes: 17 },
  NVFP4: { id: 40, weights: 64, bytes: 36 },
  Q1_0: { id: 41, weights: 128, bytes: 18 },
  Q2_0: { id: 42, weights: 64, bytes: 18 },
} as const satisfies Readonly<Record<string, TensorType>>;

export type GgmlType = keyof typeof TENSOR_TYPES;

const BY_ID: ReadonlyMap<number, GgmlType> = new Map(
  Object.entries(TENSOR_TYPES).map(([name, { id }]) => [id, name as GgmlType]),
);

/** The type of a number in a file; undefined for one that ggml does not have, or no longer has. */
export function ggmlTypeOf(id: number): GgmlType | undefined {
  return BY_ID.get(id);
}

/** Plain numbers besides the formats of weights, and how they are read. */
export const NUMBER_ARRAYS = {
  I8: Int8Array,
  I16: Int16Array,
  I32: Int32Array,
  I64: BigInt64Array,
  F64: Float64Array,
} as const;

/** Whether the values of this type can be read, be they weights or plain numbers. */
export function isReadable(type: GgmlType): type is BlockFormat | keyof typeof NUMBER_ARRAYS {
  return isBlockFormat(type) || Object.hasOwn(NUMBER_ARRAYS, type);
}

export function isBlockFormat(type: GgmlType): type is BlockFormat {
  return Object.hasOwn(BLOCK_FORMATS, type);
}

/** Bytes of a tensor; NaN where its rows are no whole blocks, or it is too large to count. */
export function ggmlBytes(type: GgmlType, shape: readonly number[]): number {
  const { weights, bytes } = TENSOR_TYPES[type];
  const columns = shape.at(-1) ?? 1;
  const rows = shape.slice(0, -1);
  // A dimension of 0 does not hide others that are too large.
  const most = rows.reduce((product, size) => product * Math.max(1, size), Math.max(weights, columns));
  if (columns % weights !== 0 || !Number.isSafeInteger((most / weights) * Math.max(weights, bytes)))
    return Number.NaN;
  return rows.reduce((product, size) => product * size, (columns / weights) * bytes);
}
