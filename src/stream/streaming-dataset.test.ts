import { mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Batch } from './batch.ts';
import { evaluationBatches } from './evaluation.ts';
import { MdsWriter } from './mds-writer.ts';
import type { SampleReader } from './sample-reader.ts';
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

/** Shards of equal size whose sample i begins with token base + i. */
function memoryReader(numShards: number, shardSize: number, base: number): SampleReader {
  const read = (index: number) => ({ tokens: Int32Array.of(base + index, 1, END, 3, 4) });
  const shardSizes = new Array<number>(numShards).fill(shardSize);
  return { dir: 'memory', numSamples: numShards * shardSize, shardSizes, read, close: () => undefined };
}

const makeStreams = () => ({ a: writeStream('a', 37, 100), b: writeStream('b', 50, 1000) });
const firsts = (batch: Batch) =>
  Array.from({ length: batch.numSequences }, (_, b) => batch.tokens[b * batch.sequenceLength]!);
const draw = (data: StreamingDataset, count: number, size = 1) =>
  Array.from({ length: count / size }, () => firsts(data.nextBatch(size, T))).flat();

describe('StreamingDataset', () => {
  const early = { a: 3, b: 1 };
  const late = { a: 0, b: 1 };
  const open = (streams: Record<string, string>, seed = 5, rank = { index: 0, count: 1 }) => {
    const data = new StreamingDataset({ streams, seed, endOfText: END, rank });
    data.setMix(early);
    return data;
  };

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

  it('keeps the shares of each mix and sees every sample once an epoch, in a new order', () => {
    const data = open(makeStreams());
    const drawn = draw(data, 400, 8);
    const fromA = drawn.filter((token) => token < 1000);
    expect(fromA.length).toBe(300);
    const epochs = [0, 1, 2].map((epoch) => fromA.slice(37 * epoch, 37 * (epoch + 1)));
    for (const epoch of epochs) expect(new Set(epoch).size).toBe(37);
    expect(epochs[1]).not.toEqual(epochs[0]);
    data.setMix(late);
    expect(draw(data, 20).every((token) => token >= 1000)).toBe(true);
    expect(data.drawnSamples).toEqual({ a: 300, b: 120 });
  });

  it('draws the same samples whatever the batch size, and others with another seed', () => {
    const streams = makeStreams();
    const expected = draw(open(streams), 120, 1);
    for (const size of [2, 3, 8, 40]) expect(draw(open(streams), 120, size)).toEqual(expected);
    expect(draw(open(streams, 6), 120)).not.toEqual(expected);
  });

  it('resumes anywhere, in any mix, through JSON, to the same batches', () => {
    const streams = makeStreams();
    const whole = open(streams);
    const mixAt = (i: number) => (i < 50 ? { a: 3 - i / 20, b: i / 20 } : late);
    for (let i = 0; i < 90; i++) {
      if (i >= 20) whole.setMix(mixAt(i));
      const resumed = open(streams);
      resumed.restore(JSON.parse(JSON.stringify(whole.state())));
      if (i >= 20) resumed.setMix(mixAt(i));
      expect(resumed.nextBatch(3, T)).toEqual(whole.nextBatch(3, T));
      expect(resumed.state()).toEqual(whole.state());
      resumed.close();
    }
  });

  it('mixes by size where no mix is set', () => {
    const data = new StreamingDataset({ streams: makeStreams(), seed: 1, endOfText: END });
    draw(data, 87);
    expect(data.drawnSamples).toEqual({ a: 37, b: 50 });
  });

  it('refuses wrong lengths, weights, states and empty streams with coded errors', () => {
    const streams = makeStreams();
    const data = open(streams);
    expect(() => data.nextBatch(1, T + 2)).toThrow(code('sequence_length_mismatch'));
    expect(data.drawnSamples).toEqual({ a: 0, b: 0 });
    expect(() => open({ a: streams.a })).toThrow(/"b".*does not have/);
    expect(() => data.restore(open(streams, 6).state())).toThrow(code('checkpoint_mismatch'));
    const state = data.state();
    for (const place of [
      { drawn: -1 },
      { drawn: 1.5 },
      { drawn: '3' },
      { drawn: 1, drawnInMix: 2 },
      { drawn: null },
      { weight: 2 },
      { carried: null },
    ]) {
      const a = { ...state.streams.a!, ...place } as (typeof state.streams)[string];
      const damaged = { ...state, streams: { ...state.streams, a } };
      expect(() => data.restore(damaged), JSON.stringify(place)).toThrow(/"a" was drawn/);
    }
    const wrong = [{ a: 0 }, {}, { a: -1, b: 2 }, { a: Number.NaN }, { a: Number.POSITIVE_INFINITY }];
    for (const mix of wrong as Record<string, number>[]) {
      expect(() => data.setMix(mix), JSON.stringify(mix)).toThrow(code('config_invalid'));
    }
    expect(data.state()).toEqual(state);
    const c = writeStream('c', 0, 0);
    const empty = new StreamingDataset({ streams: { c }, seed: 1, endOfText: END });
    expect(() => empty.setMix({ c: 1 })).toThrow(code('data_empty'));
    expect(() => empty.nextBatch(1, T)).toThrow(code('data_empty'));
    const second = open(streams, 5, { index: 1, count: 2 });
    expect(() => second.nextBatch(3, T)).toThrow(code('config_invalid'));
  });

  it('gives ranks parts of the same order, and any number of ranks continues it', () => {
    const streams = makeStreams();
    const expected = draw(open(streams), 96, 8);
    for (const count of [1, 2, 4, 8]) {
      let state = open(streams).state();
      const global: number[] = [];
      // Four batches on `count` ranks, then eight on one rank.
      for (const [ranks, batches] of [
        [count, 4],
        [1, 8],
      ] as const) {
        const parts = Array.from({ length: ranks }, (_, index) => {
          const data = open(streams, 5, { index, count: ranks });
          data.restore(state);
          const rows = Array.from({ length: batches }, () => firsts(data.nextBatch(8, T)));
          return { rows, state: data.state() };
        });
        for (const part of parts) expect(part.state).toEqual(parts[0]!.state);
        for (let batch = 0; batch < batches; batch++) {
          for (let k = 0; k < 8; k++) global.push(parts[k % ranks]!.rows[batch]![Math.floor(k / ranks)]!);
        }
        state = JSON.parse(JSON.stringify(parts[0]!.state));
      }
      expect(global).toEqual(expected);
    }
  });

  it('gives each node the shards of its lanes alone, and every number of nodes the same batches', () => {
    const make = (index: number, count: number, nodes: number) => {
      const rank = { index, count, nodes };
      const streams = { a: memoryReader(32, 4, 100), b: memoryReader(40, 3, 1000) };
      const data = new StreamingDataset({
        streams,
        seed: 5,
        endOfText: END,
        canonicalNodes: 4,
        blockSize: 8,
        rank,
      });
      data.setMix(early);
      return data;
    };
    const batchesOf = (count: number, nodes: number) => {
      const ranks = Array.from({ length: count }, (_, index) => make(index, count, nodes));
      return Array.from({ length: 6 }, () =>
        ranks.flatMap((data) => firsts(data.nextBatch(8, T))).toSorted(),
      );
    };
    const expected = batchesOf(1, 1);
    for (const [count, nodes] of [
      [2, 1],
      [2, 2],
      [4, 2],
      [8, 4],
    ] as const)
      expect(batchesOf(count, nodes)).toEqual(expected);
    const all = make(0, 1, 1).peekShards(480);
    const perNode = [0, 1].map((node) => make(2 * node, 4, 2).peekShards(480));
    expect(all.length).toBe(72);
    // Lanes of 32 samples end with a shard of `a`; those of 30 with one of `b`.
    expect(perNode.map((shards) => shards.length)).toEqual([36, 36]);
    for (const [node, shards] of perNode.entries()) {
      const places = make(2 * node + 1, 4, 2).peek(480);
      const used = places.map(({ stream, index }) => ({
        stream,
        shard: Math.floor(index / (stream === 'a' ? 4 : 3)),
      }));
      for (const each of used) expect(shards).toContainEqual(each);
    }
  });

  it('tells what comes next without moving, also of readers that are no folders', () => {
    let isClosed = false;
    const reader = {
      ...memoryReader(2, 5, 500),
      shardSizes: undefined,
      close: () => {
        isClosed = true;
      },
    };
    const options = { seed: 3, endOfText: END, rank: { index: 1, count: 2 } };
    const data = new StreamingDataset({ streams: { m: reader, a: writeStream('a', 37, 100) }, ...options });
    const before = data.state();
    const places = data.peek(60);
    expect(data.state()).toEqual(before);
    const base = { m: 500, a: 100 } as Record<string, number>;
    expect(places.map(({ stream, index }) => base[stream]! + index)).toEqual(
      [20, 20, 20].flatMap((size) => firsts(data.nextBatch(size, T))),
    );
    data.close();
    expect(isClosed).toBe(true);
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
