/**
 * Orders of a million samples in shards of 8,192, in samples a second, against the plainest shuffle there is: Fisher and
 * Yates's with the engine's own random numbers. What large epochs cost, in time and memory: shuffle-cost.ts; how well
 * they mix: shuffle-quality.ts.
 */
import { MOSAIC_SHUFFLES, mosaicShuffle } from '../src/stream/mosaic/shuffles.ts';
import { SampleOrder } from '../src/stream/order/sample-order.ts';
import type { Kernels } from '../src/tensor/index.ts';
import type { Case, Limit } from './measure.ts';

const SAMPLES = 2 ** 20;
const sizes = new Array<number>(SAMPLES / 8192).fill(8192);

export default function* shuffle(_: Kernels): Iterable<Case> {
  for (const name of ['block', 'full'] as const) {
    const key = { seed: 1, stream: 1 };
    const order = new SampleOrder({ shuffle: name, blockSize: 2 ** 18, lanes: 1, shardSizes: sizes, key });
    let sum = 0;
    yield samples(name, () => {
      for (let i = 0; i < SAMPLES; i++) sum += order.at(i);
      if (sum < 0) throw new Error('never');
    });
  }
  for (const name of MOSAIC_SHUFFLES) {
    const options = { sizes, canonicalNodes: 1, seed: 9176, epoch: 1, blockSize: 2 ** 18 };
    yield samples(name, () => {
      mosaicShuffle(name, options);
    });
  }
}

function samples(name: string, run: () => void): Case {
  return { name, unit: 'samples/s', work: SAMPLES, limit: plainShuffle(), run };
}

function plainShuffle(): Limit {
  return {
    name: 'Fisher-Yates, Math.random',
    rate() {
      const values = Uint32Array.from({ length: SAMPLES }, (_, i) => i);
      const started = performance.now();
      for (let i = SAMPLES - 1; i > 0; i--) {
        const j = Math.floor(Math.random() * (i + 1));
        const moved = values[i]!;
        values[i] = values[j]!;
        values[j] = moved;
      }
      return (SAMPLES * 1000) / (performance.now() - started);
    },
  };
}
