/**
 * Weights to and from the formats of files, in bytes read and written per second, against a streaming copy of arrays as large
 * as the weights, beyond the caches: `npm run bench -- blocks`. Where llama.cpp's libraries can be had, what ggml's own functions do on
 * one thread is a second baseline (it quantises with them, on many threads row by row).
 */
import {
  BLOCK_FORMATS,
  type BlockFormat,
  blockBytes,
  type Kernels,
  QUANTIZABLE,
} from '../src/tensor/index.ts';
import { openGgml } from '../tests/numerics/ggml-blocks.ts';
import { type Case, floats, type Limit, rateOf } from './measure.ts';
import { findLlamaCpp } from './peers/llama-cpp.ts';

const LENGTH = 1 << 23;
/** Searches take so long that fewer weights do. */
const SEARCHED = 1 << 18;
const WINDOW_MS = 20;

export default function* blocks(kernels: Kernels): Iterable<Case> {
  const [x, y] = [floats(kernels, LENGTH), floats(kernels, LENGTH)];
  const found = findLlamaCpp();
  const ggml = typeof found === 'string' ? null : openGgml(found);
  const limit: Limit = {
    name: 'streaming copy',
    rate: () => rateOf(() => kernels.scale(y, x, 1), 8 * LENGTH, WINDOW_MS),
  };
  const peer = (work: number, run: () => void): Limit[] =>
    ggml && kernels.threads === 1 ? [{ name: 'ggml', rate: () => rateOf(run, work, WINDOW_MS) }] : [];
  for (const format of QUANTIZABLE) {
    const weights = x.subarray(0, format.endsWith('_K') ? SEARCHED : LENGTH);
    const stored = storedIn(kernels, format, weights.length);
    const work = weights.byteLength + stored.byteLength;
    const peers = peer(work, () => ggml!.quantizeInto(stored, weights, format));
    const run = () => void kernels.quantizeBlocks(stored, weights, format);
    yield { name: `to ${format}`, unit: 'B/s', work, limit, peers, run };
  }
  for (const format of Object.keys(BLOCK_FORMATS) as BlockFormat[]) {
    const stored = storedIn(kernels, format, LENGTH);
    const work = y.byteLength + stored.byteLength;
    const peers = format === 'F32' ? [] : peer(work, () => ggml!.dequantizeInto(y, stored, format));
    yield {
      name: `from ${format}`,
      unit: 'B/s',
      work,
      limit,
      peers,
      run: () => kernels.dequantizeBlocks(y, stored, format),
    };
  }
}

function storedIn(kernels: Kernels, format: BlockFormat, weights: number): Uint8Array {
  const sizeBytes = blockBytes(format, weights);
  return new Uint8Array(kernels.allocate(sizeBytes), 0, sizeBytes);
}
