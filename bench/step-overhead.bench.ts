/**
 * How much of a small model's training step is spent in kernels: 2 layers, width 64, dense or of 8 experts, on one short
 * sequence and on 2048 tokens. A step is held against the time in kernels of the very same step. What the timing itself
 * costs shows the second baseline: steps without it.
 */
import { type Kernels, resolvePrecision } from '../src/tensor/index.ts';
import { type Case, rateOf } from './measure.ts';
import { Stopwatch } from './stopwatch.ts';
import { GPT, TrainingBench } from './training.ts';

const SMALL = { ...GPT, dModel: 64, numLayers: 2, numHeads: 2, vocabSize: 512 };
const FFN = { dense: { hidden: 176 }, '2 of 8 experts': { hidden: 88, numExperts: 8, topK: 2 } };
const WINDOW_MS = 200;
/** steps after which V8 has compiled what it will */
const WARM_UP = 100;

export default function* stepOverhead(kernels: Kernels): Iterable<Case> {
  const stopwatch = new Stopwatch(kernels);
  for (const [name, ffn] of Object.entries(FFN)) {
    for (const [sequences, length] of [
      [1, 64],
      [8, 256],
    ]) {
      const shape = { ...SMALL, maxSeqLen: length, ffn };
      const create = (on: Kernels) =>
        new TrainingBench(on, shape, resolvePrecision(kernels, 'auto'), sequences);
      const [timed, plain] = [create(stopwatch.kernels), create(kernels)];
      yield caseOf(`step of ${sequences} x ${length} tokens, ${name}`, stopwatch, timed, plain);
    }
  }
}

function caseOf(name: string, stopwatch: Stopwatch, timed: TrainingBench, plain: TrainingBench): Case {
  let fastest = { stepMs: Number.POSITIVE_INFINITY, kernelsMs: 0 };
  const run = () => {
    const start = performance.now();
    const kernelsMs = stopwatch.during(timed.step);
    const stepMs = performance.now() - start;
    if (stepMs < fastest.stepMs) fastest = { stepMs, kernelsMs };
  };
  const inKernels = () => {
    const { kernelsMs } = fastest;
    fastest = { stepMs: Number.POSITIVE_INFINITY, kernelsMs: 0 };
    return 1000 / kernelsMs;
  };
  for (let step = 0; step < WARM_UP; step++) {
    run();
    plain.step();
  }
  inKernels();
  return {
    name,
    unit: 'step/s',
    work: 1,
    windowMs: WINDOW_MS,
    limit: { name: 'its time in kernels', rate: inKernels },
    peers: [{ name: 'the step untimed', rate: () => rateOf(plain.step, 1, WINDOW_MS) }],
    run,
  };
}
