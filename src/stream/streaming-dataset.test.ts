import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Batch } from './batch.ts';
import { evaluationBatches } from './evaluation.ts';
import { MdsWriter } from './mds-writer.ts';
import { nextStream } from './mixture.ts';
import { shuffledIndex } from './shuffle.ts';
import { StreamingDataset } from './streaming-dataset.ts';

const T = 4;
const END = 0;
let dir: string;
const code = (expected: string) => expect.objectContaining({ code: expected });

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-stream-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A stream whose sample i begins with token base + i. */
function writeStream(name: string, numSamples: number, base: number): string {
  const writer = new MdsWriter({
    dir: join(dir, name),
    columns: { tokens: 'ndarray:int32' },
    sizeLimit: 1000,
  });
  for (let i = 0; i < numSamples; i++) writer.write({ tokens: Int32Array.of(base + i, 1, END, 3, 4) });
  writer.finish();
  return join(dir, name);
}

const makeStreams = () => ({ a: writeStream('a', 37, 100), b: writeStream('b', 50, 1000) });
const firsts = (batch: Batch) =>
  Array.from({ length: batch.numSequences }, (_, b) => batch.tokens[b * batch.sequenceLength]!);
const draw = (data: StreamingDataset, count: number, size = 1) =>
  Array.from({ length: count / size }, () => firsts(data.nextBatch(size, T))).flat();

describe('shuffledIndex', () => {
  it('is a permutation for any size, and another one for any other key', () => {
    for (const n of [1, 2, 3, 10, 255, 256, 257, 3000]) {
      const order = (key: object) =>
        Array.from({ length: n }, (_, k) => shuffledIndex(k, n, { seed: 1, stream: 2, epoch: 3, ...key }));
      expect(order({}).toSorted((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, k) => k));
      if (n < 10) continue;
      for (const other of [{ seed: 2 }, { stream: 3 }, { epoch: 4 }])
        expect(order(other)).not.toEqual(order({}));
    }
  });

  it('puts every sample at every place equally often', () => {
    const n = 5;
    const epochs = 1000;
    const counts = new Array(n * n).fill(0);
    for (let epoch = 0; epoch < epochs; epoch++) {
      for (let k = 0; k < n; k++) counts[k * n + shuffledIndex(k, n, { seed: 7, stream: 0, epoch })]++;
    }
    const expected = epochs / n;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 16 degrees of freedom: 39.25 is exceeded by chance once in a thousand, and the seed is fixed.
    expect(chiSquare).toBeLessThan(39.25);
  });
});

describe('nextStream', () => {
  it('keeps every share within one draw at every moment', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 8 }), (raw) => {
        const sum = raw.reduce((a, b) => a + b, 0);
        fc.pre(sum > 0);
        const weights = raw.map((each) => each / sum);
        const drawn = raw.map(() => 0);
        for (let n = 1; n <= 500; n++) {
          const next = nextStream(weights, drawn);
          expect(weights[next]).toBeGreaterThan(0);
          drawn[next]!++;
          weights.forEach((weight, i) => {
            expect(Math.abs(weight * n - drawn[i]!)).toBeLessThan(1 + 1e-9);
          });
        }
      }),
    );
  });
});

describe('StreamingDataset', () => {
  const phases = [{ weights: { a: 3, b: 1 } }, { weights: { a: 0, b: 1 } }];
  const open = (streams: Record<string, string>, seed = 5) =>
    new StreamingDataset({ streams, phases, seed, endOfText: END });

  it('makes rows with targets, documents and positions', () => {
    const data = new StreamingDataset({ streams: { a: writeStream('a', 2, 100) }, seed: 1, endOfText: END });
    const batch = data.nextBatch(2, T);
    const [x, y] = firsts(batch);
    expect([x, y].toSorted()).toEqual([100, 101]);
    expect(batch).toEqual({
      tokens: Int32Array.of(x!, 1, END, 3, y!, 1, END, 3),
      targets: Int32Array.of(1, END, 3, 4, 1, END, 3, 4),
      firstKey: Int32Array.of(0, 0, 0, 3, 4, 4, 4, 7),
      positions: Int32Array.of(0, 1, 2, 3, 0, 1, 2, 3),
      numSequences: 2,
      sequenceLength: T,
    });
    data.close();
  });

  it('keeps the shares of each phase and sees every sample once an epoch, in a new order', () => {
    const data = open(makeStreams());
    const drawn = draw(data, 400, 8);
    const fromA = drawn.filter((token) => token < 1000);
    expect(fromA.length).toBe(300);
    const epochs = [0, 1, 2].map((epoch) => fromA.slice(37 * epoch, 37 * (epoch + 1)));
    for (const epoch of epochs) expect(new Set(epoch).size).toBe(37);
    expect(epochs[1]).not.toEqual(epochs[0]);
    data.setPhase(1);
    expect(draw(data, 20).every((token) => token >= 1000)).toBe(true);
    expect(data.drawnSamples).toEqual({ a: 300, b: 120 });
  });

  it('draws the same samples whatever the batch size, and others with another seed', () => {
    const streams = makeStreams();
    const expected = draw(open(streams), 120, 1);
    for (const size of [2, 3, 8, 40]) expect(draw(open(streams), 120, size)).toEqual(expected);
    expect(draw(open(streams, 6), 120)).not.toEqual(expected);
  });

  it('resumes anywhere, in any phase, through JSON, to the same batches', () => {
    const streams = makeStreams();
    const whole = open(streams);
    for (let i = 0; i < 90; i++) {
      if (i === 50) whole.setPhase(1);
      const resumed = open(streams);
      resumed.restore(JSON.parse(JSON.stringify(whole.state())));
      resumed.setPhase(i < 50 ? 0 : 1);
      expect(resumed.nextBatch(3, T)).toEqual(whole.nextBatch(3, T));
      expect(resumed.state()).toEqual(whole.state());
      resumed.close();
    }
  });

  it('mixes by size where no phases are given', () => {
    const data = new StreamingDataset({ streams: makeStreams(), seed: 1, endOfText: END });
    draw(data, 87);
    expect(data.drawnSamples).toEqual({ a: 37, b: 50 });
  });

  it('refuses wrong lengths, weights, states and empty streams with coded errors', () => {
    const streams = makeStreams();
    const data = open(streams);
    expect(() => data.nextBatch(1, T + 1)).toThrow(code('sequence_length_mismatch'));
    expect(data.drawnSamples).toEqual({ a: 0, b: 0 });
    expect(() => open({ a: streams.a })).toThrow(/"b".*does not have/);
    expect(() => data.restore(open(streams, 6).state())).toThrow(code('checkpoint_mismatch'));
    const state = data.state();
    for (const place of [
      { drawn: -1 },
      { drawn: 1.5 },
      { drawn: '3' },
      { drawn: 1, drawnInPhase: 2 },
      { drawn: null },
    ]) {
      const a = { ...state.streams.a!, ...place } as {
        numSamples: number;
        drawn: number;
        drawnInPhase: number;
      };
      const damaged = { ...state, streams: { ...state.streams, a } };
      expect(() => data.restore(damaged), JSON.stringify(place)).toThrow(/"a" was drawn/);
    }
    expect(data.state()).toEqual(state);
    const zero = [{ weights: { a: 0 } }];
    const make = (rest: object) => new StreamingDataset({ streams, seed: 1, endOfText: END, ...rest });
    expect(() => make({ phases: zero })).toThrow(code('config_invalid'));
    const c = writeStream('c', 0, 0);
    expect(() => make({ streams: { c }, phases: [{ weights: { c: 1 } }] })).toThrow(code('data_empty'));
  });

  it('stays where it was when a shard is cut short', () => {
    const streams = { a: writeStream('a', 37, 100) };
    const data = new StreamingDataset({ streams, seed: 1, endOfText: END });
    const before = data.state();
    truncateSync(join(streams.a, 'shard.00000.mds'), 300);
    expect(() => draw(data, 37, 37)).toThrow(code('shard_truncated'));
    expect(data.state()).toEqual(before);
  });
});

describe('evaluationBatches', () => {
  it('gives every sample once, in order, and pads the last batch with ignored targets', () => {
    const batches = evaluationBatches(writeStream('a', 5, 100), {
      numSequences: 3,
      sequenceLength: T,
      endOfText: END,
    });
    for (let time = 0; time < 2; time++) {
      const all = [...batches];
      expect(all.map(firsts)).toEqual([
        [100, 101, 102],
        [103, 104, 0],
      ]);
      expect(all[1]!.targets.subarray(2 * T)).toEqual(new Int32Array(T).fill(-1));
      expect(all[1]!.firstKey.subarray(2 * T)).toEqual(new Int32Array(T).fill(2 * T));
    }
  });
});
