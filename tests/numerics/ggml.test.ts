/** Blocks against those of llama.cpp's own libraries; skipped where npm cannot give them. `bench/check-blocks.ts` does many more. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findLlamaCpp } from '../../bench/peers/llama-cpp.ts';
import { TENSOR_TYPES } from '../../src/checkpoint/gguf/tensor-types.ts';
import { VALUE_TYPES } from '../../src/checkpoint/gguf/values.ts';
import { type GgufValue, openGguf, quantizeParts, writeGguf } from '../../src/checkpoint/index.ts';
import { anyBytes, oddRow, ROW_KINDS } from '../../src/tensor/conformance/odd-rows.ts';
import {
  BLOCK_FORMATS,
  type BlockFormat,
  blockBytes,
  createKernels,
  QUANTIZABLE,
} from '../../src/tensor/index.ts';
import { bitsOf, openGgml } from './ggml-blocks.ts';

const found = findLlamaCpp();
const whyNot = typeof found === 'string' ? ` (skipped: ${found})` : '';

describe.skipIf(typeof found === 'string')(`ggml${whyNot}`, () => {
  const ggml = typeof found === 'string' ? undefined! : openGgml(found);
  const kernels = createKernels();

  it('loads what is written, and finds every key and tensor where it is', () => {
    const dir = mkdtempSync(join(tmpdir(), 'dabarex-ggml-'));
    const path = join(dir, 'model.gguf');
    const metadata = new Map<string, GgufValue>([
      ['general.architecture', { type: 'string', value: 'llama' }],
      ['general.alignment', { type: 'u32', value: 64 }],
      ...(['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'f64'] as const).map(
        (type): [string, GgufValue] => [type, { type, value: 1 }],
      ),
      ['u64', { type: 'u64', value: 2n }],
      ['i64', { type: 'i64', value: -2n }],
      ['yes', { type: 'bool', value: true }],
      ['words', { type: 'array', of: 'string', value: ['a', 'b', 'ä'] }],
      ['ids', { type: 'array', of: 'i32', value: Int32Array.of(1, 2) }],
    ]);
    const x = Float32Array.from(ROW_KINDS.slice(2, 8).flatMap((kind) => [...oddRow(kind, 0)]));
    const tensors = QUANTIZABLE.map((type) => ({
      name: `${type}.weight`,
      type,
      shape: [2, 3, 256],
      parts: () => quantizeParts([x], type, type, kernels),
    }));
    try {
      writeGguf(path, { metadata, tensors });
      const file = openGguf(path);
      const start = [...file.tensors.values()][0]!.byteOffset;
      expect(ggml.describe(path)).toEqual({
        keys: [...metadata].map(([key, { type }]) => [key, VALUE_TYPES[type]]),
        tensors: [...file.tensors.values()].map(({ name, type, byteOffset, sizeBytes }) => ({
          name,
          type: TENSOR_TYPES[type].id,
          offset: byteOffset - start,
          sizeBytes,
        })),
        dataOffset: start,
      });
      file.close();
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('has blocks of the same sizes', () => {
    for (const { id, weights, bytes } of Object.values(TENSOR_TYPES)) {
      expect([id, ggml.blockOf(id)]).toEqual([id, { weights, bytes }]);
    }
  });

  it.each(QUANTIZABLE)('makes the same %s of any finite weights', (format) => {
    for (const kind of ROW_KINDS) {
      for (let i = 100; i < 110; i++) {
        const x = oddRow(kind, i);
        const blocks = new Uint8Array(blockBytes(format, x.length));
        kernels.quantizeBlocks(blocks, x, format);
        expect(Buffer.compare(blocks, ggml.quantize(x, format)), `${kind} ${i}`).toBe(0);
      }
    }
  });

  it.each(Object.keys(BLOCK_FORMATS) as BlockFormat[])('reads the same out of any %s', (format) => {
    for (let i = 100; i < 130; i++) {
      const blocks = anyBytes(blockBytes(format, 1024), i);
      const values = new Float32Array(1024);
      kernels.dequantizeBlocks(values, blocks, format);
      expect(bitsOf(values)).toEqual(bitsOf(ggml.dequantize(blocks, 1024, format)));
    }
  });
});
