import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Rng } from '../base/index.ts';
import type { Batch } from './batch.ts';
import { evaluationBatches } from './evaluation.ts';
import { BatchLoader } from './loader/loader.ts';
import { MdsWriter } from './mds-writer.ts';
import { PackedDataset } from './packed-dataset.ts';
import { StreamingDataset } from './streaming-dataset.ts';

const LENGTH = 32;
const dir = mkdtempSync(join(tmpdir(), 'dabarex-packed-'));
const documents: number[][] = [];

/** Document d is d+1, d+1, ... ending in 0, so that each row tells whose it is. */
beforeAll(() => {
  const rng = new Rng(1);
  const writer = new MdsWriter({ dir, columns: { tokens: 'ndarray:int32' } });
  for (let d = 0; d < 200; d++) {
    const length = d === 7 ? 90 : d === 8 ? 1 : 2 + rng.below(30);
    documents.push([...Array.from({ length: length - 1 }, () => d + 1), 0]);
    writer.write({ tokens: Int32Array.from(documents.at(-1)!) });
  }
  writer.finish();
});
afterAll(() => rmSync(dir, { recursive: true }));

const openData = () => new StreamingDataset({ streams: { chats: dir }, seed: 4, endOfText: 0 });
const open = () => new PackedDataset(openData(), { windowSamples: 64, sequenceLength: LENGTH });

/** How often each document is found, whole, in rows of its own. */
function countDocuments(batches: readonly Batch[]): Map<number, number> {
  const seen = new Map<number, number>();
  for (const { tokens, targets, firstKey, sequenceLength } of batches) {
    for (let row = 0; row < tokens.length; ) {
      let end = row + 1;
      while (end < tokens.length && end % sequenceLength !== 0 && firstKey[end] === row) end++;
      expect(firstKey[row]).toBe(row);
      if (targets[row]! >= 0) {
        const document = documents[tokens[row]! - 1]!.slice(0, sequenceLength + 1);
        expect([...tokens.subarray(row, end)]).toEqual(document.slice(0, -1));
        expect([...targets.subarray(row, end)]).toEqual(document.slice(1));
        seen.set(tokens[row]!, (seen.get(tokens[row]!) ?? 0) + 1);
      } else expect([...targets.subarray(row, end)].every((target) => target === -1)).toBe(true);
      row = end;
    }
  }
  return seen;
}

it('gives every document once an epoch, whole and by itself, and says what is padding', () => {
  const packed = open();
  const batches: Batch[] = [];
  let padding = 0;
  let rows = 0;
  // Three windows are 192 of 200 documents.
  for (let i = 0; i < 20; i++) {
    const batch = packed.nextBatch(4);
    batches.push(batch);
    padding += batch.paddingRows;
    rows += batch.tokens.length;
    expect(batch.targets.filter((target) => target === -1)).toHaveLength(batch.paddingRows);
  }
  packed.close();
  const counts = [...countDocuments(batches).values()];
  expect(counts.length).toBeGreaterThan(120);
  expect(Math.max(...counts)).toBe(1);
  expect(padding / rows).toBeLessThan(0.06);
});

it('continues in the middle of a window where it was, also in a loader', async () => {
  const packed = open();
  for (let i = 0; i < 13; i++) packed.nextBatch(3);
  const state = JSON.parse(JSON.stringify(packed.state()));
  expect(state.takenSequences).toBeGreaterThan(0);
  const rest = Array.from({ length: 30 }, () => packed.nextBatch(3));
  const again = open();
  again.restore(state);
  expect(Array.from({ length: 30 }, () => again.nextBatch(3))).toEqual(rest);
  const loader = await BatchLoader.open({
    streams: { chats: dir },
    seed: 4,
    endOfText: 0,
    mixes: [],
    packing: { windowSamples: 64, sequenceLength: LENGTH },
    numSequences: 3,
    sequenceLength: LENGTH,
  });
  loader.restore(state);
  for (const each of rest) {
    // Unforeseen every time, so that windows are drawn again.
    loader.setMix({ chats: 1 }, (steps) => ({ chats: 1 + steps }));
    expect(await loader.nextBatch(3, LENGTH)).toEqual(each);
  }
  expect(loader.state()).toEqual(packed.state());
  await loader.close();
  packed.close();
  again.close();
});

it('packs what is held out in order, each document once', () => {
  const options = { numSequences: 4, sequenceLength: LENGTH, endOfText: 0, packingWindow: 50 };
  const batches = [...evaluationBatches(dir, options)];
  const seen = countDocuments(batches);
  // The one of a single token has nothing to learn.
  expect([...seen.values()].every((count) => count === 1)).toBe(true);
  expect(seen.size).toBe(199);
});
