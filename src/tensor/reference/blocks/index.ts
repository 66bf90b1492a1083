/** The kernels that turn rows into blocks of a {@link BlockFormat} and back. */
import {
  assert,
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from '../../../base/index.ts';
import {
  BLOCK_FORMATS,
  type BlockFormat,
  type BlockKernels,
  blockBytes,
  type QuantizableFormat,
} from '../../block-format.ts';
import { checkLength } from '../lengths.ts';
import { readHalf } from './half-floats.ts';
import {
  dequantizeQ2_K,
  dequantizeQ3_K,
  dequantizeQ4_K,
  dequantizeQ5_K,
  dequantizeQ6_K,
} from './k-dequantize.ts';
import { quantizeQ4_K, quantizeQ6_K } from './k-quantize.ts';
import {
  dequantizeQ4_0,
  dequantizeQ4_1,
  dequantizeQ5_0,
  dequantizeQ5_1,
  dequantizeQ8_0,
  quantizeQ4_0,
  quantizeQ4_1,
  quantizeQ5_0,
  quantizeQ5_1,
  quantizeQ8_0,
} from './small-blocks.ts';

type Plain = 'F32' | 'F16' | 'BF16';
type Quantize = (bytes: Uint8Array, at: number, x: Float32Array, from: number) => void;
type Dequantize = (y: Float32Array, to: number, bytes: Uint8Array, at: number) => void;

const QUANTIZE: Readonly<Record<Exclude<QuantizableFormat, Plain>, Quantize>> = {
  Q8_0: quantizeQ8_0,
  Q4_0: quantizeQ4_0,
  Q4_1: quantizeQ4_1,
  Q5_0: quantizeQ5_0,
  Q5_1: quantizeQ5_1,
  Q4_K: quantizeQ4_K,
  Q6_K: quantizeQ6_K,
};

const DEQUANTIZE: Readonly<Record<Exclude<BlockFormat, Plain>, Dequantize>> = {
  Q8_0: dequantizeQ8_0,
  Q4_0: dequantizeQ4_0,
  Q4_1: dequantizeQ4_1,
  Q5_0: dequantizeQ5_0,
  Q5_1: dequantizeQ5_1,
  Q4_K: dequantizeQ4_K,
  Q6_K: dequantizeQ6_K,
  Q5_K: dequantizeQ5_K,
  Q2_K: dequantizeQ2_K,
  Q3_K: dequantizeQ3_K,
};

function isPlain(format: BlockFormat): format is Plain {
  return BLOCK_FORMATS[format].weights === 1;
}

/** Where the 16-bit floats of a block stand. */
const HALVES: Readonly<Record<Exclude<QuantizableFormat, Plain>, readonly number[]>> = {
  Q8_0: [0],
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q4_K: [0, 2],
  Q6_K: [208],
};
/** From here on squares and cubes of weights leave the range of f32. */
const TOO_LARGE = 2 ** 40;

function quantizeBlocks(blocks: Uint8Array, x: Float32Array, format: QuantizableFormat): boolean {
  checkLength('blocks', blocks, blockBytes(format, x.length));
  if (isPlain(format)) return storePlain(blocks, x, format);
  const quantize = QUANTIZE[format];
  assert(quantize !== undefined, `${format} can be read only`);
  const { weights, bytes } = BLOCK_FORMATS[format];
  let fits = x.every((each) => Math.abs(each) < TOO_LARGE);
  for (let i = 0; i * weights < x.length; i++) {
    quantize(blocks, i * bytes, x, i * weights);
    fits &&= HALVES[format].every((place) => Number.isFinite(readHalf(blocks, i * bytes + place)));
  }
  return fits;
}

function storePlain(blocks: Uint8Array, x: Float32Array, format: Plain): boolean {
  const stored = format === 'F32' ? x : format === 'F16' ? float32ToFloat16(x) : float32ToBfloat16(x);
  blocks.set(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength));
  if (format === 'F32') return true;
  // The exponent that stands for infinity and NaN.
  const special = format === 'F16' ? 0x7c00 : 0x7f80;
  return stored.every((bits: number) => (bits & special) !== special);
}

function dequantizeBlocks(y: Float32Array, blocks: Uint8Array, format: BlockFormat): void {
  checkLength('blocks', blocks, blockBytes(format, y.length));
  if (format === 'F32') {
    new Uint8Array(y.buffer, y.byteOffset, y.byteLength).set(blocks);
  } else if (isPlain(format)) {
    const bits = new Uint16Array(blocks.slice().buffer);
    y.set(format === 'F16' ? float16ToFloat32(bits) : bfloat16ToFloat32(bits));
  } else {
    const dequantize = DEQUANTIZE[format];
    const { weights, bytes } = BLOCK_FORMATS[format];
    for (let i = 0; i * weights < y.length; i++) dequantize(y, i * weights, blocks, i * bytes);
  }
}

export const blockKernels: BlockKernels = { quantizeBlocks, dequantizeBlocks };
