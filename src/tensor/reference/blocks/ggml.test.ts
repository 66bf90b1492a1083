/** The reference against blocks that ggml made (ggml.json, written by bench/check-blocks.ts from llama.cpp's libraries). */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BLOCK_FORMATS, type BlockFormat, blockBytes, QUANTIZABLE } from '../../block-format.ts';
import { anyBytes, oddRow, ROW_KINDS } from '../../conformance/odd-rows.ts';
import { blockKernels } from './index.ts';

const golden = JSON.parse(readFileSync(join(import.meta.dirname, 'ggml.json'), 'utf8')) as {
  quantized: Record<string, { first: string; digests: Record<string, string> }>;
  dequantized: Record<string, string>;
};

describe('blocks', () => {
  it.each(QUANTIZABLE)('of %s are those of ggml', (format) => {
    const make = (kind: string, i: number) => {
      const x = oddRow(kind, i);
      const blocks = new Uint8Array(blockBytes(format, x.length));
      blockKernels.quantizeBlocks(blocks, x, format);
      return blocks;
    };
    const { first, digests } = golden.quantized[format]!;
    expect(Buffer.from(make('plain', 0)).toString('hex').slice(0, first.length)).toBe(first);
    for (const kind of ROW_KINDS) {
      const hash = createHash('sha256');
      for (let i = 0; i < 3; i++) hash.update(make(kind, i));
      expect(hash.digest('hex').slice(0, 16), kind).toBe(digests[kind]);
    }
  });

  it.each(Object.keys(BLOCK_FORMATS) as BlockFormat[])('of %s have the values ggml reads', (format) => {
    const values = new Float32Array(8192);
    blockKernels.dequantizeBlocks(values, anyBytes(blockBytes(format, 8192), 0), format);
    const bits = new Uint32Array(values.buffer);
    // A NaN may have any of its bits.
    for (let i = 0; i < bits.length; i++) if (Number.isNaN(values[i])) bits[i] = 0x7fc00000;
    const digest = createHash('sha256').update(new Uint8Array(bits.buffer)).digest('hex');
    expect(digest.slice(0, 16)).toBe(golden.dequantized[format]);
  });
});
