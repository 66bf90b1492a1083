/** ggml's own quantisers and dequantisers, as llama.cpp's libraries export them. */
import type { LlamaCpp } from '../../bench/peers/llama-cpp.ts';
import { TENSOR_TYPES } from '../../src/checkpoint/gguf/tensor-types.ts';
import { type BlockFormat, blockBytes, type QuantizableFormat } from '../../src/tensor/index.ts';

export interface Ggml {
  quantize(x: Float32Array, format: QuantizableFormat): Uint8Array;
  dequantize(blocks: Uint8Array, weights: number, format: BlockFormat): Float32Array;
  /** The same into arrays that are there. */
  quantizeInto(blocks: Uint8Array, x: Float32Array, format: QuantizableFormat): void;
  dequantizeInto(y: Float32Array, blocks: Uint8Array, format: Exclude<BlockFormat, 'F32'>): void;
  /** weights and bytes of a block of a type by its number */
  blockOf(id: number): { weights: number; bytes: number };
}

export function openGgml(llamaCpp: LlamaCpp): Ggml {
  const library = llamaCpp.open('libggml-base');
  const quantizeChunk = library.func(
    'size_t ggml_quantize_chunk(int type, const void* src, _Out_ void* dst, int64_t start, int64_t rows, int64_t columns, const void* matrix)',
  );
  const [typeSize, blockSize] = ['size_t ggml_type_size(int type)', 'int64_t ggml_blck_size(int type)'].map(
    (prototype) => library.func(prototype) as (id: number) => number,
  );
  const rowFunctions: Readonly<Record<string, string>> = {
    F16: 'ggml_fp16_to_fp32_row',
    BF16: 'ggml_bf16_to_fp32_row',
  };
  const quantizeInto: Ggml['quantizeInto'] = (blocks, x, format) => {
    quantizeChunk(TENSOR_TYPES[format].id, x, blocks, 0, 1, x.length, null);
  };
  const dequantizeInto: Ggml['dequantizeInto'] = (y, blocks, format) => {
    const name = rowFunctions[format] ?? `dequantize_row_${format.replace('Q', 'q')}`;
    library.func(`void ${name}(const void* x, _Out_ void* y, int64_t k)`)(blocks, y, y.length);
  };
  return {
    quantizeInto,
    dequantizeInto,
    quantize(x, format) {
      const blocks = new Uint8Array(blockBytes(format, x.length));
      quantizeInto(blocks, x, format);
      return blocks;
    },
    dequantize(blocks, weights, format) {
      if (format === 'F32') return new Float32Array(blocks.slice().buffer);
      const values = new Float32Array(weights);
      dequantizeInto(values, blocks, format);
      return values;
    },
    blockOf: (id) => ({ weights: Number(blockSize!(id)), bytes: Number(typeSize!(id)) }),
  };
}

/** Bits of values, all NaN alike. */
export function bitsOf(values: Float32Array): Uint32Array {
  const bits = new Uint32Array(values.slice().buffer);
  return bits.map((each) => ((each & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : each));
}
