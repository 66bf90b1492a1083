/** Blocks against those of llama.cpp's own libraries; skipped where npm cannot give them. `bench/check-blocks.ts` does many more. */
import { describe, expect, it } from 'vitest';
import { findLlamaCpp } from '../../bench/peers/llama-cpp.ts';
import { TENSOR_TYPES } from '../../src/checkpoint/gguf/tensor-types.ts';
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
