/** Formats of files in the addon (native/kernels/blocks.cc, blocks_k.cc). */
import { BLOCK_FORMATS, type BlockKernels } from '../block-format.ts';
import { methodsOf, type NativeMethods } from './addon.ts';

interface Methods {
  quantizeBlocks(blocks: Uint8Array, x: Float32Array, format: number): boolean;
  dequantizeBlocks(y: Float32Array, blocks: Uint8Array, format: number): void;
}

/** In the order of the addon (native/kernels.h). */
const NAMES = Object.keys(BLOCK_FORMATS);

export function blockKernels(methods: NativeMethods): BlockKernels {
  const native = methodsOf<Methods>(methods);
  return {
    quantizeBlocks: (blocks, x, format) => native.quantizeBlocks(blocks, x, NAMES.indexOf(format)),
    dequantizeBlocks: (y, blocks, format) => native.dequantizeBlocks(y, blocks, NAMES.indexOf(format)),
  };
}
