/** Training and generating take their memory at the start: later steps ask for none, and nothing is left behind. */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { Rng } from '../../src/base/index.ts';
import { completeModelConfig, Generator, modelConfigSchema, Transformer } from '../../src/model/index.ts';
import { createOptimizer } from '../../src/optim/index.ts';
import { createKernels, type Kernels } from '../../src/tensor/index.ts';
import { Trainer, trainConfigSchema } from '../../src/train/index.ts';

const LENGTH = 32;
const VOCABULARY = 300;
const STEPS = 160;
/** After this step the code is compiled and every buffer has been used. */
const SETTLED = 60;
const MIB = 1 << 20;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

interface Memory {
  /** of the engine, so far */
  readonly allocations: number;
  readonly allocatedBytes: number;
  readonly heapBytes: number;
  readonly arrayBufferBytes: number;
  readonly rssBytes: number;
}

/** Kernels that count what is asked of them, and a look at the process's memory after a collection. */
function watched(): { kernels: Kernels; look: () => Promise<Memory> } {
  const kernels: Kernels = createKernels({ threads: 2 });
  let allocations = 0;
  let allocatedBytes = 0;
  const allocate = (sizeBytes: number) => {
    allocations++;
    allocatedBytes += sizeBytes;
    return kernels.allocate(sizeBytes);
  };
  const look = async () => {
    collectGarbage();
    await sleep(10); // buffers are swept beside the program
    collectGarbage();
    const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
    return {
      allocations,
      allocatedBytes,
      heapBytes: heapUsed,
      arrayBufferBytes: arrayBuffers,
      rssBytes: rss,
    };
  };
  return { kernels: Object.create(kernels, { allocate: { value: allocate } }), look };
}

function modelOn(kernels: Kernels): Transformer {
  const ffn = { hidden: 32, numExperts: 8, topK: 2 };
  const shape = { dModel: 32, numLayers: 2, numHeads: 4, kvHeads: 2, maxSeqLen: 64, ffn };
  const config = completeModelConfig(modelConfigSchema.parse(shape), VOCABULARY);
  return new Transformer(config, kernels, { precision: 'f32', trainable: true, seed: 1 });
}

it.each(['adamw', 'muon'] as const)(`${STEPS} training steps with %s do not grow`, async (kind) => {
  const { kernels, look } = watched();
  const model = modelOn(kernels);
  const config = trainConfigSchema.parse({
    duration: `${STEPS}step`,
    sequenceLength: LENGTH,
    batchSequences: 8,
    microbatchSequences: 4,
    optimizer: { kind },
  });
  const optimizer = createOptimizer(model.parameters, config.optimizer, kernels, 'f32');
  const looks = new Map<number, Memory>();
  const stepEnd = async ({ position }: { position: { step: number } }) => {
    if ([5, SETTLED, STEPS].includes(position.step)) looks.set(position.step, await look());
  };
  const clock = () => performance.now() / 1000;
  await new Trainer({ model, optimizer, config, clock, data: randomData(), callbacks: [{ stepEnd }] }).run();
  const [first, settled, last] = [5, SETTLED, STEPS].map((step) => looks.get(step)!) as [
    Memory,
    Memory,
    Memory,
  ];
  expect(first.allocations).toBeGreaterThan(0);
  // The router gives experts other numbers of tokens every step; the arena must hold any of them from the start.
  expect(last.allocations).toBe(first.allocations);
  expect(last.allocatedBytes).toBe(first.allocatedBytes);
  expectSteady(settled, last);
});

it('generating does not grow', async () => {
  const { kernels, look } = watched();
  const generator = new Generator(modelOn(kernels));
  const cache = generator.createCache(2, 64);
  const decode = (steps: number) => {
    for (let step = 0; step < steps; step++) {
      const positions = Int32Array.of(step % 64, step % 64);
      generator.forward(cache, Int32Array.of(7, 9), Int32Array.of(0, 1), positions, Int32Array.of(0, 1));
    }
  };
  decode(64);
  const first = await look();
  decode(6 * 64);
  const settled = await look();
  decode(10 * 64);
  const last = await look();
  expect(last.allocations).toBe(first.allocations);
  expectSteady(settled, last);
});

/*
 * The batches alone of the hundred steps between are 400 KiB, their activations more than 64 MiB: kept, they would show.
 * Below the bounds lies what the collector and the allocator do on their own.
 */
function expectSteady(before: Memory, after: Memory): void {
  expect(after.arrayBufferBytes - before.arrayBufferBytes).toBeLessThan(MIB / 4);
  expect(after.heapBytes - before.heapBytes).toBeLessThan(MIB);
  expect(after.rssBytes - before.rssBytes).toBeLessThan(16 * MIB);
}

function randomData() {
  const rng = new Rng(4);
  return {
    nextBatch(numSequences: number) {
      const rows = Int32Array.from({ length: numSequences * LENGTH }, (_, r) => r);
      return {
        tokens: rows.map(() => rng.below(VOCABULARY)),
        targets: rows.map(() => rng.below(VOCABULARY)),
        positions: rows.map((r) => r % LENGTH),
        firstKey: rows.map((r) => r - (r % LENGTH)),
      };
    },
  };
}
