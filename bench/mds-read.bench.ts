/**
 * Reading the tokens of raw shards, in bytes read and written per second, against a streaming copy of arrays beyond the caches, and against
 * reading the same files whole, piece by piece into one small buffer: what the system takes to hand out the page cache, without the second
 * copy, to the batch. In order and in shuffled blocks of 2^16 samples; rows of 256 tokens and one, and of 2048 and one. Digests are
 * left out: they are checked once a shard, at the speed of the algorithm.
 */
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MdsReader, MdsWriter } from '../src/stream/index.ts';
import type { Kernels } from '../src/tensor/index.ts';
import { type Case, floats, type Limit, rateOf } from './measure.ts';

const DATA_BYTES = 1 << 26;
const BLOCK_SAMPLES = 1 << 16;
const WINDOW_MS = 500;
const BATCH_ROWS = 8;

const COPY_LENGTH = 1 << 23;

export default function* mdsRead(kernels: Kernels): Iterable<Case> {
  const [x, y] = [floats(kernels, COPY_LENGTH), floats(kernels, COPY_LENGTH)];
  const limit: Limit = {
    name: 'streaming copy',
    rate: () => rateOf(() => kernels.scale(y, x, 1), 8 * COPY_LENGTH, 50),
  };
  for (const tokens of [257, 2049]) {
    const dir = mkdtempSync(join(tmpdir(), 'dabarex-bench-mds-'));
    try {
      yield* casesOf(dir, tokens, limit);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }
}

function* casesOf(dir: string, tokens: number, limit: Limit): Iterable<Case> {
  write(dir, tokens);
  const files = readdirSync(dir)
    .filter((name) => name.endsWith('.mds'))
    .map((name) => join(dir, name));
  // Each byte is read from one place and written to another.
  const work = 2 * files.reduce((sum, file) => sum + statSync(file).size, 0);
  const whole: Limit = {
    name: 'read(2) into 256 KiB',
    rate: () => rateOf(() => readWhole(files), work, WINDOW_MS),
  };
  const reader = new MdsReader(dir, { verify: 'size' });
  const of = (name: string, run: () => void): Case => ({
    name: `${name}, samples of ${tokens} tokens`,
    unit: 'B/s',
    work,
    limit,
    peers: [whole],
    windowMs: WINDOW_MS,
    run,
  });
  const batch = new Int32Array(BATCH_ROWS * tokens);
  const order = blocks(reader.numSamples);
  yield of('readInto in order', () => {
    for (let i = 0; i < reader.numSamples; i++) {
      reader.readInto(i, 'tokens', batch, (i % BATCH_ROWS) * tokens);
    }
  });
  yield of('readInto in shuffled blocks', () => {
    for (let i = 0; i < order.length; i++) {
      reader.readInto(order[i]!, 'tokens', batch, (i % BATCH_ROWS) * tokens);
    }
  });
  yield of('read in order', () => {
    for (let i = 0; i < reader.numSamples; i++) reader.read(i);
  });
  reader.close();
}

function write(dir: string, tokens: number): void {
  const writer = new MdsWriter({ dir, columns: { tokens: 'ndarray:int32' } });
  const sample = new Int32Array(tokens);
  for (let written = 0, i = 0; written < DATA_BYTES; written += 4 * tokens, i++) {
    for (let t = 0; t < tokens; t++) sample[t] = (Math.imul(i * tokens + t, 2654435761) >>> 16) % 50_000;
    writer.write({ tokens: sample });
  }
  writer.finish();
}

function readWhole(files: readonly string[]): void {
  const buffer = new Uint8Array(1 << 18);
  for (const file of files) {
    const handle = openSync(file, 'r');
    while (readSync(handle, buffer) > 0) {}
    closeSync(handle);
  }
}

/** The samples in order, shuffled within blocks. */
function blocks(numSamples: number): Uint32Array {
  const order = Uint32Array.from({ length: numSamples }, (_, i) => i);
  let state = 1;
  for (let start = 0; start < numSamples; start += BLOCK_SAMPLES) {
    const size = Math.min(BLOCK_SAMPLES, numSamples - start);
    for (let i = size - 1; i > 0; i--) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const j = Math.floor((state / 2 ** 32) * (i + 1));
      const kept = order[start + i]!;
      order[start + i] = order[start + j]!;
      order[start + j] = kept;
    }
  }
  return order;
}
