/**
 * Samples read straight from JSON Lines, tokenized on the fly, in tokens a second: in order, in a random order, and in a random
 * order within windows of 4,096 samples, which is how shards are shuffled; against encoding alone and against MDS shards of the same samples,
 * read in the same order. A window holds four times what the reader keeps. The text is the quickstart's sources, 257 tokens a sample; one thread whatever is asked for.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rng } from '../src/base/index.ts';
import { MdsReader, MdsWriter, openTextReader, type SampleReader } from '../src/stream/index.ts';
import type { Kernels } from '../src/tensor/index.ts';
import { TokenBuffer, trainBpe } from '../src/tokenizer/index.ts';
import { type Case, rateOf } from './measure.ts';
import { sampleOfSources } from './quickstart-text.ts';

const SAMPLE_TOKENS = 257;
const WINDOW_SAMPLES = 4096;
/** a part of the text: of all of it nothing would be encoded twice */
const CACHE_TOKENS = 1 << 18;
const SAMPLES_A_CALL = 1000;
const WINDOW_MS = 300;

export default async function* textStream(_: Kernels): AsyncIterable<Case> {
  const texts = await sampleOfSources(2_000_000);
  const tokenizer = trainBpe({ texts: texts.slice(0, 200), vocabSize: 8192 });
  const dir = mkdtempSync(join(tmpdir(), 'dabarex-bench-'));
  try {
    const path = join(dir, 'text.jsonl');
    writeFileSync(path, texts.map((text) => `${JSON.stringify({ text })}\n`).join(''));
    const options = { tokenizer, sampleTokens: SAMPLE_TOKENS, cacheDir: dir, cacheTokens: CACHE_TOKENS };
    const text = await openTextReader([path], options);
    const shards = shardsOf(text, join(dir, 'shards'));
    const out = new TokenBuffer();
    const encodeAll = (): void => {
      out.clear();
      for (const each of texts) tokenizer.encodeInto(each, out);
    };
    const limit = { name: 'encoding alone', rate: () => rateOf(encodeAll, text.numTokens, WINDOW_MS) };
    for (const [name, order] of ordersOf(text.numSamples)) {
      const work = SAMPLES_A_CALL * (SAMPLE_TOKENS - 1);
      const peers = [{ name: 'MDS shards', rate: () => rateOf(readerOf(shards, order), work, WINDOW_MS) }];
      yield { name, unit: 'tokens/s', work, limit, peers, windowMs: WINDOW_MS, run: readerOf(text, order) };
    }
    text.close();
    shards.close();
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Reads the next samples of the order at each call, round and round. */
function readerOf(reader: SampleReader, order: Int32Array): () => void {
  let next = 0;
  return () => {
    for (let i = 0; i < SAMPLES_A_CALL; i++) {
      reader.read(order[next]);
      next = (next + 1) % order.length;
    }
  };
}

function ordersOf(numSamples: number): [string, Int32Array][] {
  const rng = new Rng(1, 0);
  const shuffled = (from: number, to: number): Int32Array => {
    const part = Int32Array.from({ length: to - from }, (_, i) => from + i);
    for (let i = part.length - 1; i > 0; i--) {
      const j = rng.below(i + 1);
      [part[i], part[j]] = [part[j], part[i]];
    }
    return part;
  };
  const windows = new Int32Array(numSamples);
  for (let from = 0; from < numSamples; from += WINDOW_SAMPLES) {
    windows.set(shuffled(from, Math.min(numSamples, from + WINDOW_SAMPLES)), from);
  }
  return [
    ['in order', Int32Array.from({ length: numSamples }, (_, i) => i)],
    ['shuffled in windows of 4,096 samples', windows],
    ['in a random order', shuffled(0, numSamples)],
  ];
}

function shardsOf(reader: SampleReader, dir: string): MdsReader {
  const writer = new MdsWriter({ dir, columns: { tokens: 'ndarray:int32' } });
  for (let k = 0; k < reader.numSamples; k++) writer.write(reader.read(k));
  writer.finish();
  return new MdsReader(dir);
}
