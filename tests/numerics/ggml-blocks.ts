/** ggml's own quantisers and dequantisers, as llama.cpp's libraries export them. */
import type { LlamaCpp } from '../../bench/peers/llama-cpp.ts';
import { TENSOR_TYPES } from '../../src/checkpoint/gguf/tensor-types.ts';
import { type BlockFormat, blockBytes, type QuantizableFormat } from '../../src/tensor/index.ts';

export interface GgufAsGgmlSeesIt {
  /** names and numbers of types */
  readonly keys: readonly (readonly [string, number])[];
  /** offsets from the start of the data */
  readonly tensors: readonly { name: string; type: number; offset: number; sizeBytes: number }[];
  readonly dataOffset: number;
}

export interface Ggml {
  quantize(x: Float32Array, format: QuantizableFormat): Uint8Array;
  dequantize(blocks: Uint8Array, weights: number, format: BlockFormat): Float32Array;
  /** The same into arrays that are there. */
  quantizeInto(blocks: Uint8Array, x: Float32Array, format: QuantizableFormat): void;
  dequantizeInto(y: Float32Array, blocks: Uint8Array, format: Exclude<BlockFormat, 'F32'>): void;
  /** weights and bytes of a block of a type by its number */
  blockOf(id: number): { weights: number; bytes: number };
  /** What its own loader finds in a GGUF file. @throws Error where it refuses it */
  describe(path: string): GgufAsGgmlSeesIt;
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
    describe: (path) => describeGguf(llamaCpp, path),
    blockOf: (id) => ({ weights: Number(blockSize!(id)), bytes: Number(typeSize!(id)) }),
  };
}

function describeGguf(llamaCpp: LlamaCpp, path: string): GgufAsGgmlSeesIt {
  const library = llamaCpp.open('libggml-base');
  llamaCpp.defineStruct('GgufInitParams', { noAlloc: 'bool', context: 'void*' });
  const file = library.func('void* gguf_init_from_file(const char* path, GgufInitParams params)')(path, {
    noAlloc: true,
    context: null,
  });
  if (!file) throw new Error(`ggml does not load ${path}`);
  const of = (result: string, name: string) => {
    const call = library.func(`${result} gguf_${name}(const void* file, int64_t index)`);
    return (index: number) => call(file, index);
  };
  const count = (name: string) => Number(library.func(`int64_t gguf_${name}(const void* file)`)(file));
  const list = <T>(length: number, make: (index: number) => T) => Array.from({ length }, (_, i) => make(i));
  const [key, type] = [of('const char*', 'get_key'), of('int', 'get_kv_type')];
  const tensor = {
    name: of('const char*', 'get_tensor_name'),
    type: of('int', 'get_tensor_type'),
    offset: of('size_t', 'get_tensor_offset'),
    sizeBytes: of('size_t', 'get_tensor_size'),
  };
  const described = {
    keys: list(count('get_n_kv'), (i) => [key(i) as string, type(i) as number] as const),
    tensors: list(count('get_n_tensors'), (i) => ({
      name: tensor.name(i) as string,
      type: tensor.type(i) as number,
      offset: Number(tensor.offset(i)),
      sizeBytes: Number(tensor.sizeBytes(i)),
    })),
    dataOffset: count('get_data_offset'),
  };
  library.func('void gguf_free(void* file)')(file);
  return described;
}

/** Bits of values, all NaN alike. */
export function bitsOf(values: Float32Array): Uint32Array {
  const bits = new Uint32Array(values.slice().buffer);
  return bits.map((each) => ((each & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : each));
}
