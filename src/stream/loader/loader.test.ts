import { appendFileSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Rng } from '../../base/index.ts';
import { trainChar } from '../../tokenizer/index.ts';
import type { Batch } from '../batch.ts';
import { streamConfigSchema } from '../config.ts';
import type { DataState } from '../data-state.ts';
import { MdsWriter } from '../mds-writer.ts';
import { MosaicDataset } from '../mosaic/mosaic-dataset.ts';
import { openTextReader } from '../open-text.ts';
import type { Mix } from '../places.ts';
import { StreamingDataset } from '../streaming-dataset.ts';
import type { StreamingState } from '../streaming-state.ts';
import { BatchLoader, type BatchLoaderOptions } from './loader.ts';
import type { TextPlace } from './text-streams.ts';

const LENGTH = 16;
const END = 0;
const folder = mkdtempSync(join(tmpdir(), 'dabarex-loader-'));
const streams = { prose: join(folder, 'prose'), code: join(folder, 'code') };
const data = { streams, seed: 3, endOfText: END, mixes: [] };
const loaders: BatchLoader[] = [];

beforeAll(() => {
  for (const [name, samples] of [
    ['prose', 300],
    ['code', 100],
    ['damaged', 100],
  ] as const) {
    const rng = new Rng(samples);
    const writer = new MdsWriter({
      dir: join(folder, name),
      columns: { tokens: 'ndarray:int32' },
      sizeLimit: 4000,
      hashes: ['sha256'],
    });
    for (let i = 0; i < samples; i++) {
      writer.write({ tokens: Int32Array.from({ length: LENGTH + 1 }, () => rng.below(9)) });
    }
    writer.finish();
  }
});
afterEach(async () => {
  for (const loader of loaders.splice(0)) await loader.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function open(change: Partial<BatchLoaderOptions> = {}): Promise<BatchLoader> {
  const loader = await BatchLoader.open({ ...data, numSequences: 4, sequenceLength: LENGTH, ...change });
  loaders.push(loader);
  return loader;
}

/** What the data set gives without a thread. */
function drawn(steps: readonly (Mix | undefined)[], batchesPerStep = 1) {
  const dataset = new StreamingDataset(data);
  const batches = steps.flatMap((mix) => {
    if (mix) dataset.setMix(mix);
    return Array.from({ length: batchesPerStep }, () => dataset.nextBatch(4, LENGTH));
  });
  const state = dataset.state();
  dataset.close();
  return { batches, state };
}

describe('a loader', () => {
  it('gives the batches of the data set, to the bit, and stands where that stands', async () => {
    const loader = await open();
    const steps = Array.from({ length: 120 }, () => undefined);
    const batches = [];
    for (const _ of steps) batches.push(await loader.nextBatch(4, LENGTH));
    expect(batches).toEqual(drawn(steps).batches);
    expect(loader.state()).toEqual(drawn(steps).state);
    expect(batches[0]!.tokens).toBeInstanceOf(Int32Array);
  });

  it('draws every step by its mix, foreseen or not', async () => {
    const loader = await open({ batchesPerStep: 2, stepsAhead: 3 });
    const rng = new Rng(5);
    const mixes = Array.from({ length: 60 }, (_, step): Mix => {
      const share = step < 20 ? 0.9 : step < 40 ? step / 50 : rng.uniform();
      return { prose: share, code: 1 - share };
    });
    const batches = [];
    for (const [step, mix] of mixes.entries()) {
      // Every third time what is foreseen does not come.
      loader.setMix(mix, (steps) => (step % 3 === 0 ? mix : (mixes[step + steps] ?? mix)));
      for (let part = 0; part < 2; part++) batches.push(await loader.nextBatch(4, LENGTH));
      if (step === 30) expect(loader.state()).toEqual(drawn(mixes.slice(0, 31), 2).state);
    }
    expect(batches).toEqual(drawn(mixes, 2).batches);
  });

  it('has read ahead while the thread that trains was busy', async () => {
    const loader = await open();
    await loader.nextBatch(4, LENGTH);
    let ready = false;
    for (let tries = 0; tries < 1000 && !ready; tries++) {
      // Blocks the event loop, as a step does.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      ready = !(loader.nextBatch(4, LENGTH) instanceof Promise);
    }
    expect(ready).toBe(true);
  });

  it('continues where a state was taken, of a loader or of a data set', async () => {
    const first = await open();
    for (let i = 0; i < 7; i++) await first.nextBatch(4, LENGTH);
    const state = first.state();
    const next = await first.nextBatch(4, LENGTH);
    const second = await open();
    await second.nextBatch(4, LENGTH);
    second.restore(JSON.parse(JSON.stringify(state)));
    expect(second.state()).toEqual(state);
    expect(await second.nextBatch(4, LENGTH)).toEqual(next);
    const dataset = new StreamingDataset(data);
    dataset.restore(state as StreamingState);
    expect(dataset.nextBatch(4, LENGTH)).toEqual(next);
    dataset.close();
    expect(() => second.restore({ ...state, seed: 4 })).toThrow(
      expect.objectContaining({ code: 'checkpoint_mismatch' }),
    );
  });
});

describe('a loader in an order of MosaicML', () => {
  const order = streamConfigSchema.parse({ shuffle: 'py1e', blockSize: 64, seed: 5 });
  const openMosaic = () => open({ order, batchSequences: 8 });
  const whole = { prose: 300, code: 100 };

  it('gives the samples of MosaicDataset, over epochs and changes of the mix, and continues to the bit', async () => {
    const dataset = new MosaicDataset({ streams, config: order, batchSequences: 8, endOfText: END });
    const mixes: Mix[] = Array.from({ length: 150 }, (_, step) =>
      step < 120 ? whole : { prose: 1, code: 3 },
    );
    const expected = mixes.flatMap((mix, step) => {
      if (step >= 120) dataset.setMix(mix);
      return [dataset.nextBatch(4, LENGTH), dataset.nextBatch(4, LENGTH)];
    });
    dataset.close();
    let loader = await openMosaic();
    const batches: Batch[] = [];
    for (const [step, mix] of mixes.entries()) {
      if ([3, 60, 119, 140].includes(step)) {
        // As after a kill: another process, of which nothing is left but the state.
        const state = JSON.parse(JSON.stringify(loader.state()));
        await loader.close();
        loader = await openMosaic();
        loader.restore(state);
      }
      loader.setMix(mix);
      for (let part = 0; part < 2; part++) batches.push(await loader.nextBatch(4, LENGTH));
    }
    expect(batches).toEqual(expected);
  });

  it('refuses a place in another order', async () => {
    const [native, mosaic] = [await open(), await openMosaic()];
    const refused = expect.objectContaining({ code: 'checkpoint_mismatch' });
    const [ofNative, ofMosaic] = [native.state(), mosaic.state()];
    expect(() => native.restore(ofMosaic)).toThrow(refused);
    expect(() => mosaic.restore(ofNative)).toThrow(refused);
    expect(() => mosaic.restore({ ...ofMosaic, shuffle_seed: 6 } as DataState)).toThrow(refused);
  });
});

describe('a loader whose data is bad', () => {
  it('says so when it is opened', async () => {
    const lost = { streams: { prose: join(folder, 'lost') } };
    await expect(open(lost)).rejects.toMatchObject({ code: 'shard_index_invalid' });
    await expect(open({ mixes: [{ verse: 1 }] })).rejects.toMatchObject({ code: 'config_invalid' });
  });

  it('fails at the batch that needs it, not before, with its code', async () => {
    const dir = join(folder, 'damaged');
    const loader = await open({ streams: { damaged: dir }, stepsAhead: 30 });
    const dataset = new StreamingDataset({ ...data, streams: { damaged: dir } });
    const shards = readdirSync(dir).filter((name) => name.endsWith('.mds'));
    truncateSync(join(dir, shards.sort()[1]!), 40);
    let good = 0;
    const all = async () => {
      for (; good < 25; good++) await loader.nextBatch(4, LENGTH);
    };
    await expect(all()).rejects.toMatchObject({ code: expect.stringMatching(/^shard_/) });
    const expectedFailure = () => {
      for (let i = 0; i < 25; i++) dataset.nextBatch(4, LENGTH);
    };
    expect(expectedFailure).toThrow();
    expect(loader.state()).toMatchObject({ streams: { damaged: { drawn: 4 * good } } });
    expect(dataset.drawnSamples.damaged).toBe(4 * good);
    await expect(loader.nextBatch(4, LENGTH)).rejects.toMatchObject({
      code: expect.stringMatching(/^shard_/),
    });
    dataset.close();
  });

  it('refuses samples of another length', async () => {
    const loader = await open({ streams: { prose: streams.prose }, sequenceLength: 8 });
    await expect(loader.nextBatch(4, 8)).rejects.toMatchObject({ code: 'sequence_length_mismatch' });
  });
});

describe('closing a loader', () => {
  it('ends at once, also while someone waits, and twice', async () => {
    const loader = await open();
    const waiting = (async () => {
      for (;;) await loader.nextBatch(4, LENGTH);
    })();
    const ended = expect(waiting).rejects.toThrow(/closed/);
    await loader.close();
    await loader.close();
    await ended;
    await expect(loader.nextBatch(4, LENGTH)).rejects.toThrow(/closed/);
  });
});

describe('a loader of text files', () => {
  const tokenizer = trainChar(['abc ']);
  const path = join(folder, 'texts.jsonl');
  const line = (i: number) => `${JSON.stringify({ text: `ab ca b${'abc '.repeat(i % 9)}` })}\n`;
  const write = (from: number) =>
    writeFileSync(path, Array.from({ length: 900 }, (_, i) => line(i + from)).join(''));
  const opening = { sampleTokens: LENGTH + 1, cacheDir: join(folder, 'texts'), textField: 'text' };
  const endOfText = tokenizer.endOfTextId;
  const place = async (): Promise<TextPlace> => {
    const reader = await openTextReader([path], { ...opening, tokenizer });
    return { ...opening, files: [path], contentSha256: reader.contentSha256 };
  };
  const openTexts = async (change: Partial<BatchLoaderOptions> = {}) =>
    open({
      streams: { texts: await place(), prose: streams.prose },
      tokenizerJson: JSON.stringify(tokenizer),
      endOfText,
      ...change,
    });

  it.each([
    ['our own order', {}],
    [
      'an order of MosaicML',
      { order: streamConfigSchema.parse({ shuffle: 'py1e', blockSize: 64 }), batchSequences: 4 },
    ],
  ] as const)(
    'gives the samples of the reader beside those of shards, in %s, and continues',
    async (_, change) => {
      write(0);
      const reader = await openTextReader([path], { ...opening, tokenizer });
      const both = { texts: reader, prose: streams.prose };
      const data =
        'order' in change
          ? new MosaicDataset({ streams: both, config: change.order, batchSequences: 4, endOfText })
          : new StreamingDataset({ streams: both, seed: 3, endOfText });
      const expected = Array.from({ length: 90 }, () => data.nextBatch(4, LENGTH));
      let loader = await openTexts(change);
      const batches: Batch[] = [];
      for (let i = 0; i < 90; i++) {
        if (i === 40) {
          const state = JSON.parse(JSON.stringify(loader.state()));
          await loader.close();
          loader = await openTexts(change);
          loader.restore(state);
        }
        batches.push(await loader.nextBatch(4, LENGTH));
      }
      expect(batches).toEqual(expected);
      data.close();
    },
  );

  it('refuses other content at its start, and a change at the batch that meets it', async () => {
    write(0);
    const streamsOf = async () => ({ texts: await place() });
    const before = await streamsOf();
    write(1);
    const changed = { code: 'text_changed' };
    await expect(openTexts({ streams: before })).rejects.toMatchObject(changed);
    const loader = await openTexts({ streams: await streamsOf(), stepsAhead: 1 });
    await loader.nextBatch(4, LENGTH);
    appendFileSync(path, line(0));
    const all = async () => {
      for (let i = 0; i < 9; i++) await loader.nextBatch(4, LENGTH);
    };
    await expect(all()).rejects.toMatchObject(changed);
  });
});
