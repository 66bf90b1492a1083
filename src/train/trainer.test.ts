import { describe, expect, it } from 'vitest';
import { completeModelConfig, modelConfigSchema, Transformer } from '../model/index.ts';
import { createOptimizer } from '../optim/index.ts';
import { createReferenceKernels, type Tracer } from '../tensor/index.ts';
import type { StepResult } from './callback.ts';
import { trainConfigSchema } from './config.ts';
import { Trainer } from './trainer.ts';

const LENGTH = 8;

/** A tiny mixture of experts that sees the numbers 0 to 7 in turn. */
function setUp(duration: string) {
  const shape = {
    dModel: 16,
    numLayers: 1,
    numHeads: 2,
    maxSeqLen: LENGTH,
    ffn: { hidden: 16, numExperts: 4, topK: 2 },
  };
  const model = new Transformer(
    completeModelConfig(modelConfigSchema.parse(shape), 8),
    createReferenceKernels(),
    { precision: 'f32', trainable: true, seed: 1 },
  );
  const config = trainConfigSchema.parse({
    duration,
    sequenceLength: LENGTH,
    batchSequences: 4,
    microbatchSequences: 2,
  });
  const optimizer = createOptimizer(model.parameters, config.optimizer, model.kernels, 'f32');
  const data = {
    nextBatch(numSequences: number) {
      const rows = Int32Array.from({ length: numSequences * LENGTH }, (_, r) => r);
      return {
        tokens: rows.map((r) => r % 8),
        targets: rows.map((r) => (r + 1) % 8),
        positions: rows.map((r) => r % LENGTH),
        firstKey: rows.map((r) => r - (r % LENGTH)),
      };
    },
  };
  return { model, config, optimizer, data, clock: () => 0 };
}

describe('the training loop', () => {
  it('learns, and tells every step to its callbacks', async () => {
    const steps: StepResult[] = [];
    const callbacks = [{ stepEnd: (_: unknown, result: StepResult) => void steps.push(result) }];
    await new Trainer({ ...setUp('40step'), callbacks }).run();
    expect(steps).toHaveLength(40);
    expect(steps[0]!.lossNats).toBeGreaterThan(1.5);
    expect(steps.at(-1)!.lossNats).toBeLessThan(0.5 * steps[0]!.lossNats);
    expect(steps[0]!.expertCounts[0]!.reduce((sum, count) => sum + count)).toBe(4 * LENGTH * 2);
  });

  it('lets the event loop turn within a step, to the same weights', async () => {
    const whole = setUp('2step');
    await new Trainer(whole).run();
    const parted = setUp('2step');
    let seconds = 0;
    const clock = () => seconds++;
    const phases: string[] = [];
    const phase = () => phases.at(-1)!;
    const turnsOf: Record<string, number> = {};
    let running = true;
    const turn = () => {
      turnsOf[phase()] = (turnsOf[phase()] ?? 0) + 1;
      if (running) setImmediate(turn);
    };
    const tracer: Tracer = {
      nowMs: () => 0,
      enter: (kind, name) => void phases.push(kind === 'layer' ? phase() : name),
      leave: () => void phases.pop(),
      called: () => undefined,
      memoryTaken: () => undefined,
      memoryReleased: () => undefined,
    };
    const { kernels } = parted.model;
    Object.assign(kernels, { tracer });
    setImmediate(turn);
    await new Trainer({ ...parted, clock }).run();
    running = false;
    // 2 microbatches in each of 2 steps: a turn between the halves of the one block, one after it and one after the loss
    expect(turnsOf.forward).toBe(2 * 2 * 3);
    expect(turnsOf.backward).toBeGreaterThan(2 * 2 * 8);
    expect(turnsOf.optimizer).toBe(2 * parted.model.parameters.length);
    parted.model.parameters.forEach(({ name, tensor }, i) => {
      expect(tensor.data, name).toEqual(whole.model.parameters[i]!.tensor.data);
    });
  });

  it('stops with training_diverged when the loss is no longer a number', async () => {
    const parts = setUp('3step');
    parts.model.parameters[0]!.tensor.data.fill(Number.NaN);
    parts.model.parameters[0]!.tensor.version++;
    await expect(new Trainer(parts).run()).rejects.toMatchObject({ code: 'training_diverged' });
  });

  it('gives no checkpoint of weights that overflowed in the last update', async () => {
    const parts = setUp('1step');
    const saved: number[] = [];
    const callbacks = [
      {
        stepEnd: () => void parts.model.parameters[0]!.tensor.data.fill(Number.POSITIVE_INFINITY, 0, 1),
        checkpoint: ({ position }: { position: { step: number } }) => void saved.push(position.step),
      },
    ];
    const run = new Trainer({ ...parts, callbacks }).run();
    await expect(run).rejects.toMatchObject({ code: 'training_diverged' });
    expect(saved).toEqual([]);
  });
});
