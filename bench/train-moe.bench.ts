/**
 * Training a mixture of 16 experts, 4 a token, against the dense model of train-dense with the same active parameters: an
 * expert has a quarter of its hidden units. Both step in turns in this process, in the same precision; beside the dense
 * model's tokens per second stands the multiply-add peak.
 */
import { type Kernels, resolvePrecision } from '../src/tensor/index.ts';
import { type Case, rateOf } from './measure.ts';
import { DENSE } from './train-dense.bench.ts';
import { GPT, TrainingBench, WINDOW_MS } from './training.ts';

const MOE = { ...GPT, ffn: { hidden: DENSE.ffn.hidden / 4, numExperts: 16, topK: 4 } };

export default function* trainMoe(kernels: Kernels): Iterable<Case> {
  const precision = resolvePrecision(kernels, 'auto');
  const dense = new TrainingBench(kernels, DENSE, precision);
  const moe = new TrainingBench(kernels, MOE, precision);
  dense.step();
  yield {
    name: `training step, ${precision}, 4 of 16 experts`,
    unit: 'tok/s',
    work: moe.tokens,
    windowMs: WINDOW_MS,
    limit: {
      name: 'dense, as many active parameters',
      rate: () => rateOf(dense.step, dense.tokens, WINDOW_MS),
    },
    peers: [moe.peak(kernels, precision)],
    run: moe.step,
  };
}
