/** Formats of files: every engine makes the same bits as the reference, which are ggml's (reference/blocks/ggml.test.ts). */
import { describe, expect, it } from 'vitest';
import { BLOCK_FORMATS, type BlockFormat, blockBytes, QUANTIZABLE } from '../block-format.ts';
import type { Kernels } from '../kernels.ts';
import { createReferenceKernels } from '../reference/index.ts';
import { anyBytes, oddRow, ROW_KINDS } from './odd-rows.ts';

/** Rows of each kind, and what they are joined to, so that a call holds many blocks. */
const ROWS = 3;

function joined(index: number, kinds: readonly string[]): Float32Array {
  return Float32Array.from(kinds.flatMap((kind) => [...oddRow(kind, index)]));
}

export function describeBlocks(create: () => Kernels, stretch: number): void {
  describe('blocks', () => {
    const reference = createReferenceKernels();

    it.each(QUANTIZABLE)('makes %s to the bit, whatever the weights', (format) => {
      const kernels = create();
      const bothWays = (x: Float32Array, what: string) => {
        const [expected, found] = [0, 0].map(() => new Uint8Array(blockBytes(format, x.length)));
        const fits = reference.quantizeBlocks(expected!, x, format);
        expect(kernels.quantizeBlocks(found!, x, format), `${what} fits`).toBe(fits);
        expect(Buffer.compare(found!, expected!), what).toBe(0);
      };
      for (let i = 0; i < ROWS * stretch; i++) {
        for (const kind of ROW_KINDS) bothWays(oddRow(kind, i), `${kind} ${i}`);
        bothWays(joined(i, ROW_KINDS), `all kinds ${i}`);
      }
      bothWays(new Float32Array(), 'nothing');
    });

    it.each(Object.keys(BLOCK_FORMATS) as BlockFormat[])('reads any %s to the bit', (format) => {
      const kernels = create();
      for (let i = 0; i < ROWS * stretch; i++) {
        const blocks = anyBytes(blockBytes(format, 1024), i);
        const [expected, found] = [new Float32Array(1024), new Float32Array(1024)];
        reference.dequantizeBlocks(expected, blocks, format);
        kernels.dequantizeBlocks(found, blocks, format);
        expect(found).toEqual(expected);
        // From an odd address.
        const shifted = new Uint8Array(blocks.length + 1).subarray(1);
        shifted.set(blocks);
        kernels.dequantizeBlocks(found, shifted, format);
        expect(found).toEqual(expected);
      }
    });

    it.each(QUANTIZABLE.filter((format) => format !== 'F32'))(
      'says where %s cannot hold a weight',
      (format) => {
        const kernels = create();
        const blocks = new Uint8Array(blockBytes(format, 256));
        const fits = (value: number, place: number) => {
          const x = oddRow('plain', 1);
          x[place] = value;
          return kernels.quantizeBlocks(blocks, x, format);
        };
        expect(fits(1, 0)).toBe(true);
        for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          for (const place of [0, 31, 100, 255])
            expect(fits(value, place), `${value} at ${place}`).toBe(false);
        }
        if (format !== 'BF16') expect(fits(2 ** 41, 3)).toBe(false);
      },
    );

    it('refuses lengths that are no whole blocks', () => {
      const kernels = create();
      expect(() => kernels.quantizeBlocks(new Uint8Array(34), new Float32Array(31), 'Q8_0')).toThrow();
      expect(() => kernels.quantizeBlocks(new Uint8Array(33), new Float32Array(32), 'Q8_0')).toThrow();
      expect(() => kernels.dequantizeBlocks(new Float32Array(32), new Uint8Array(33), 'Q8_0')).toThrow();
      expect(() => kernels.dequantizeBlocks(new Float32Array(255), new Uint8Array(210), 'Q6_K')).toThrow();
    });
  });
}
