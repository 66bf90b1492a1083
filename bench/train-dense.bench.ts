/**
 * Training a dense GPT: 6 layers, width 384, 6 heads, 8 sequences of 256 tokens, vocabulary 4096, tied. The hidden layer is
 * gated, with 1024 units: as many parameters and multiply-adds as GPT-2's four times as wide one, which the peer has.
 * Precision: bf16 where the hardware multiplies it, else f32. FLOPs are the model's own `flopsPerToken`, which counts the
 * causal half of attention (76.7 MFLOP a token); counted whole, as often done, they would be 80.2.
 */
import { type Kernels, resolvePrecision } from '../src/tensor/index.ts';
import type { Case } from './measure.ts';
import { startTorch } from './peers/torch.ts';
import { GPT, TrainingBench, WINDOW_MS } from './training.ts';

export const DENSE = { ...GPT, ffn: { hidden: 1024 } };

export default async function* trainDense(kernels: Kernels): AsyncIterable<Case> {
  const precision = resolvePrecision(kernels, 'auto');
  const training = new TrainingBench(kernels, DENSE, precision);
  const torch = await startTorch(training, kernels.threads);
  try {
    yield {
      name: `training step, ${precision}`,
      unit: 'tok/s',
      work: training.tokens,
      windowMs: WINDOW_MS,
      limit: training.peak(kernels, precision),
      peers: await torch?.peers(),
      run: training.step,
    };
    const losses = { dabarex: training.losses, ...torch?.losses };
    for (const [name, each] of Object.entries(losses)) {
      console.error(`loss of every step, ${name}: ${each.map((loss) => loss.toFixed(2)).join(' ')}`);
    }
  } finally {
    torch?.close();
  }
}
