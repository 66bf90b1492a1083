/**
 * Formats of weights in files of GGUF, with ggml's names: a row is cut into blocks of `weights` neighbours, each block
 * stored in `bytes` bytes. How the bits lie stands in the reference kernels (reference/blocks/).
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
 */

interface BlockLayout {
  /** weights of one block */
  readonly weights: number;
  readonly bytes: number;
}

/** Formats whose values can be read. The order is that of the addon's enum (native/kernels.h). */
export const BLOCK_FORMATS = {
  F32: { weights: 1, bytes: 4 },
  F16: { weights: 1, bytes: 2 },
  BF16: { weights: 1, bytes: 2 },
  Q8_0: { weights: 32, bytes: 34 },
  Q4_0: { weights: 32, bytes: 18 },
  Q4_1: { weights: 32, bytes: 20 },
  Q5_0: { weights: 32, bytes: 22 },
  Q5_1: { weights: 32, bytes: 24 },
  Q4_K: { weights: 256, bytes: 144 },
  Q6_K: { weights: 256, bytes: 210 },
  Q5_K: { weights: 256, bytes: 176 },
  Q2_K: { weights: 256, bytes: 84 },
  Q3_K: { weights: 256, bytes: 110 },
} as const satisfies Readonly<Record<string, BlockLayout>>;

export type BlockFormat = keyof typeof BLOCK_FORMATS;

/** Formats that can be written too. */
export const QUANTIZABLE = [
  'F32',
  'F16',
  'BF16',
  'Q8_0',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q4_K',
  'Q6_K',
] as const satisfies readonly BlockFormat[];
export type QuantizableFormat = (typeof QUANTIZABLE)[number];

/** Bytes of `weights` weights; NaN where they are no whole number of blocks. */
export function blockBytes(format: BlockFormat, weights: number): number {
  const layout = BLOCK_FORMATS[format];
  return weights % layout.weights === 0 ? (weights / layout.weights) * layout.bytes : Number.NaN;
}

/** Weights in the formats of files; f32 only. Bits are ggml's own, on every engine (see block-format.ts). */
export interface BlockKernels {
  /**
   * blocks = x in `format`; x holds whole blocks.
   * @returns whether the blocks stand for x. They do not where a value is NaN, infinite or from 2^40 on (F32 takes them all), and
   * where a value or a scale is beyond the 16-bit float it is stored in.
   */
  quantizeBlocks(blocks: Uint8Array, x: Float32Array, format: QuantizableFormat): boolean;
  /** y = the values of blocks. */
  dequantizeBlocks(y: Float32Array, blocks: Uint8Array, format: BlockFormat): void;
}
