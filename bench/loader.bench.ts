/**
 * The way of tokens from shards in the page cache to a batch of 8 x 256: drawn in random order from two domains, documents found
 * in them; packed from documents of varying length; through the loader's thread. Against what training takes: the step of `train-dense`
 * on these threads. And whole samples, large ones, against plain reads of the same file.
 */
import { mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '../src/base/index.ts';
import { BatchLoader, MdsReader, MdsWriter, StreamingDataset } from '../src/stream/index.ts';
import { PackedDataset } from '../src/stream/packed-dataset.ts';
import { type Kernels, resolvePrecision } from '../src/tensor/index.ts';
import { type Case, type Limit, rateOf } from './measure.ts';
import { DENSE } from './train-dense.bench.ts';
import { TrainingBench, WINDOW_MS } from './training.ts';

const SEQUENCES = 8;
const LENGTH = 256;
const TOKENS = SEQUENCES * LENGTH;
const SAMPLES = 8192;
const LARGE_TOKENS = 2 ** 16;
const END = 0;

export default async function* loader(kernels: Kernels): AsyncIterable<Case> {
  const folder = mkdtempSync(join(tmpdir(), 'dabarex-bench-'));
  try {
    const streams = { prose: join(folder, 'prose'), code: join(folder, 'code') };
    for (const [i, dir] of Object.values(streams).entries()) write(dir, i, SAMPLES, () => LENGTH + 1);
    const training = new TrainingBench(kernels, DENSE, resolvePrecision(kernels, 'auto'));
    const step: Limit = {
      name: 'training step of train-dense',
      rate: () => rateOf(training.step, training.tokens, WINDOW_MS),
    };
    const data = new StreamingDataset({ streams, seed: 1, endOfText: END, vocabSize: 4096 });
    const run = () => void data.nextBatch(SEQUENCES, LENGTH);
    yield { name: 'batch, shuffled and mixed', unit: 'tok/s', work: TOKENS, windowMs: 200, limit: step, run };
    yield await throughThread(streams, step);
    yield* packed(folder, step);
    yield* large(folder);
    data.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The thread's rate is waited for, so it is measured before and stands as the value of every round. */
async function throughThread(streams: Record<string, string>, step: Limit): Promise<Case> {
  const options = { streams, seed: 1, endOfText: END, vocabSize: 4096, mixes: [], stepsAhead: 16 };
  const loader = await BatchLoader.open({ ...options, numSequences: SEQUENCES, sequenceLength: LENGTH });
  const draw = async (count: number) => {
    for (let i = 0; i < count; i++) await loader.nextBatch(SEQUENCES, LENGTH);
  };
  await draw(500);
  let fastestMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 10; round++) {
    const start = performance.now();
    await draw(500);
    fastestMs = Math.min(fastestMs, (performance.now() - start) / 500);
  }
  await loader.close();
  const run = () => {
    const end = performance.now() + fastestMs;
    while (performance.now() < end);
  };
  return { name: 'batch through the thread', unit: 'tok/s', work: TOKENS, windowMs: 50, limit: step, run };
}

function* packed(folder: string, step: Limit): Iterable<Case> {
  const dir = join(folder, 'chats');
  const rng = new Rng(7);
  write(dir, 2, SAMPLES, () => 16 + rng.below(LENGTH - 16));
  const data = new StreamingDataset({ streams: { chats: dir }, seed: 1, endOfText: END });
  const source = new PackedDataset(data, { windowSamples: 1024, sequenceLength: LENGTH });
  let padding = 0;
  let rows = 0;
  const run = () => {
    padding += source.nextBatch(SEQUENCES).paddingRows;
    rows += TOKENS;
  };
  yield { name: 'batch, packed by best fit', unit: 'tok/s', work: TOKENS, windowMs: 200, limit: step, run };
  console.error(`padding of packed batches: ${((100 * padding) / rows).toFixed(2)} %`);
  source.close();
}

function* large(folder: string): Iterable<Case> {
  const dir = join(folder, 'large');
  write(dir, 3, 200, () => LARGE_TOKENS);
  const reader = new MdsReader(dir);
  const path = join(dir, 'shard.00000.mds');
  const { size } = statSync(path);
  const file = openSync(path, 'r');
  const chunk = new Uint8Array(4 * LARGE_TOKENS);
  const sample = new Int32Array(LARGE_TOKENS);
  const readAll = () => {
    for (let at = 0; at < size; at += readSync(file, chunk, 0, chunk.length, at));
  };
  yield {
    name: 'samples of 256 KiB, in order',
    unit: 'B/s',
    work: 200 * 4 * LARGE_TOKENS,
    windowMs: 300,
    limit: { name: 'reads of the same size from the page cache', rate: () => rateOf(readAll, size, 300) },
    run: () => {
      for (let i = 0; i < 200; i++) reader.readInto(i, 'tokens', sample);
    },
  };
  reader.close();
}

function write(dir: string, seed: number, samples: number, lengthOf: () => number): void {
  const writer = new MdsWriter({ dir, columns: { tokens: 'ndarray:int32' } });
  let state = seed;
  // A document of about a hundred tokens after another.
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state < 2 ** 32 / 100 ? END : 1 + (state >>> 21);
  };
  for (let i = 0; i < samples; i++) {
    const tokens = new Int32Array(lengthOf());
    for (let t = 0; t < tokens.length; t++) tokens[t] = next();
    writer.write({ tokens });
  }
  writer.finish();
}
