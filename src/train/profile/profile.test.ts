/** A tiny model trained under the profiler: that its figures add up, and change nothing. */
import { beforeAll, describe, expect, it } from 'vitest';
import {
  completeModelConfig,
  countParameters,
  flopsPerToken,
  modelConfigSchema,
  Transformer,
} from '../../model/index.ts';
import { createOptimizer } from '../../optim/index.ts';
import { createReferenceKernels, type Kernels, profiledKernels } from '../../tensor/index.ts';
import { trainConfigSchema } from '../config.ts';
import { Trainer } from '../trainer.ts';
import { chromeTrace, type ProfileReport, Profiler, reportProfile } from './index.ts';

const LENGTH = 8;
const SEQUENCES = 4;
const TOKENS = LENGTH * SEQUENCES;
const LIMITS = { peakFlops: { f32: 1e9, bf16: 2e9 }, readBandwidth: 1e9 };
const MODEL = completeModelConfig(
  modelConfigSchema.parse({
    dModel: 16,
    numLayers: 2,
    numHeads: 2,
    kvHeads: 1,
    maxSeqLen: LENGTH,
    ffn: { hidden: 16, numExperts: 4, topK: 2 },
  }),
  24,
);

/** Two microbatches a step; 3 steps. @returns the weights afterwards */
async function train(kernels: Kernels): Promise<number[]> {
  const model = new Transformer(MODEL, kernels, { precision: 'f32', trainable: true, seed: 1 });
  const shape = { sequenceLength: LENGTH, batchSequences: SEQUENCES, microbatchSequences: SEQUENCES / 2 };
  const config = trainConfigSchema.parse({ duration: '3step', ...shape });
  const optimizer = createOptimizer(model.parameters, config.optimizer, kernels, 'f32');
  const data = {
    setMix: () => undefined,
    nextBatch(numSequences: number) {
      const rows = Int32Array.from({ length: numSequences * LENGTH }, (_, r) => r);
      const tokens = rows.map((r) => (7 * r) % 24);
      const positions = rows.map((r) => r % LENGTH);
      return { tokens, targets: tokens, positions, firstKey: rows.map((r) => r - (r % LENGTH)) };
    },
  };
  await new Trainer({ model, data, optimizer, config, clock: () => 0 }).run();
  return model.parameters.flatMap(({ tensor }) => [...tensor.data]);
}

let profiler: Profiler;
let report: ProfileReport;
let weights: number[];

beforeAll(async () => {
  let time = 0;
  profiler = new Profiler({ nowMs: () => time++, warmupSteps: 1 });
  weights = await train(profiledKernels(createReferenceKernels(), profiler));
  report = reportProfile(profiler, LIMITS);
});

describe('a profile of training', () => {
  it('leaves the weights as they are without it, to the bit', async () => {
    expect(weights).toEqual(await train(createReferenceKernels()));
  });

  it('keeps the steps after the warm-up', () => {
    expect(report.steps).toBe(2);
    const steps = profiler.spans.filter(({ kind }) => kind === 'step');
    expect(steps.map(({ name }) => name)).toEqual(['step 2', 'step 3']);
  });

  it('divides the time of a step among kernels, the rest and itself', () => {
    const { kernels, layers, outside, profiler: own, phases, stepMs } = report;
    const sum = (rows: readonly { readonly ms: number }[]) => rows.reduce((total, { ms }) => total + ms, 0);
    expect(sum(kernels) + outside.ms + own.ms).toBeCloseTo(stepMs, 6);
    expect(sum(layers)).toBeCloseTo(sum(kernels), 6);
    expect(sum(phases)).toBeCloseTo(stepMs, 6);
    expect(Math.min(outside.ms, own.ms, ...kernels.map(({ ms }) => ms))).toBeGreaterThan(0);
    expect(phases.map(({ name }) => name)).toEqual([
      'data',
      'forward',
      'backward',
      'clip',
      'optimizer',
      'step',
    ]);
  });

  /*
   * flopsPerToken takes norm scales for products, as parameters, 6 D each, and lets the token at position t attend t keys
   * where it attends itself too, 6 D more in each layer.
   */
  it('counts the FLOPs of flopsPerToken, but for norm scales and the attention of a token to itself', () => {
    const { dModel, numLayers } = MODEL;
    const convention = flopsPerToken(MODEL, LENGTH).training;
    const norms = 6 * (2 * numLayers + 1) * dModel;
    const itself = 6 * numLayers * dModel;
    const counted = report.kernels.reduce((total, { flops }) => total + flops, 0);
    expect(counted).toBe(TOKENS * (convention - norms + itself));
  });

  it('holds kernels against the peak and the bandwidth', () => {
    const gemm = report.kernels.find(({ name }) => name === 'gemmPacked')!;
    expect(gemm.peakShare).toBeCloseTo(gemm.flops / 1e9 / (gemm.ms / 1000), 9);
    expect(gemm.bandwidthShare).toBeCloseTo(gemm.bytes / 1e9 / (gemm.ms / 1000), 9);
  });

  it('finds the backward pass of a layer where its forward pass was', () => {
    const phasesOf = (layer: string) => [
      ...new Set(profiler.calls.filter((call) => call.layer === layer).map(({ phase }) => phase)),
    ];
    expect(phasesOf('blocks.1.attention.qkv')).toEqual(['forward', 'backward']);
    expect(phasesOf('blocks.0.experts.gate_up')).toEqual(['forward', 'backward']);
    expect(phasesOf('')).toEqual(['clip', 'optimizer']);
    expect(report.layers.map(({ name }) => name)).toContain('blocks.*.attention.heads');
  });

  it('knows what the memory is for', () => {
    const { byUse, totalBytes, byLayer, pieces } = report.memory;
    const { total } = countParameters(MODEL);
    // Arenas hand out multiples of 64 bytes; all parameters of this model are.
    expect(byUse).toMatchObject({ parameters: 4 * total, gradients: 4 * total, optimizer: 8 * total });
    expect(byUse.activations).toBeGreaterThan(TOKENS * 16 * 4);
    expect(byUse.activationGradients).toBeGreaterThan(0);
    // Both orientations of every matrix but the embedding's.
    expect(byUse.packed).toBe(8 * (total - 24 * 16 - 5 * 16));
    const sum = (sizes: readonly { readonly sizeBytes: number }[]) =>
      sizes.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
    expect(Object.values(byUse).reduce((a, b) => a + b)).toBe(totalBytes);
    expect(sum(byLayer)).toBe(totalBytes);
    expect(sum(pieces)).toBe(totalBytes);
    const used = profiler.memory.samples.map(({ usedBytes }) =>
      Object.values(usedBytes).reduce((a, b) => a + b),
    );
    expect(Math.max(...used)).toBe(totalBytes);
  });
});

describe('a Chrome trace', () => {
  it('nests steps, phases, layers and kernels, and counts memory', () => {
    const { traceEvents } = JSON.parse(JSON.stringify(chromeTrace(profiler, 'test')));
    const open: { cat: string; end: number }[] = [];
    const parents = new Set<string>();
    const complete = traceEvents.filter(({ ph }: { ph: string }) => ph === 'X');
    for (const { cat, ts, dur } of complete.sort(byStart)) {
      while (open.length > 0 && open.at(-1)!.end <= ts) open.pop();
      if (open.length > 0) expect(ts + dur).toBeLessThanOrEqual(open.at(-1)!.end);
      parents.add(`${open.at(-1)?.cat ?? 'nothing'} > ${cat}`);
      open.push({ cat, end: ts + dur });
    }
    expect([...parents].sort()).toEqual([
      'layer > kernel',
      'layer > layer',
      'nothing > step',
      'phase > kernel',
      'phase > layer',
      'step > phase',
    ]);
    const counters = traceEvents.filter(({ ph }: { ph: string }) => ph === 'C');
    expect(counters).toHaveLength(profiler.memory.samples.length);
    expect(counters[0].args.parameters).toBe(4 * countParameters(MODEL).total);
  });
});

function byStart(a: { ts: number; dur: number }, b: { ts: number; dur: number }): number {
  return a.ts - b.ts || b.dur - a.dur;
}
