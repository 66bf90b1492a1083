/**
 * Encoding on the text of the quickstart's sources, a sample of each, in bytes of text a second: cl100k_base and a BPE of 8,192 tokens
 * trained on it, against npm `tiktoken` (wasm) and the native npm `tokenizers`, on as many threads, each with a part of
 * the documents of its own. All must give the same ids first. "nothing seen": a new tokenizer each time, whose memory of pieces is empty.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { get_encoding } from 'tiktoken';
import type { Kernels } from '../src/tensor/index.ts';
import { type BpeTokenizer, cl100kBase, trainBpe } from '../src/tokenizer/index.ts';
import type { Case } from './measure.ts';
import { startTokenizers } from './peers/tokenizers.ts';
import { sampleOfSources } from './quickstart-text.ts';
import { EncodingThreads } from './tokenize-threads.ts';

const BYTES_PER_SOURCE = 150_000;
const WINDOW_MS = 300;

export default async function* tokenize(kernels: Kernels): AsyncIterable<Case> {
  const texts = await sampleOfSources(BYTES_PER_SOURCE);
  const ranks = createRequire(import.meta.url).resolve('gpt-tokenizer/data/cl100k_base.tiktoken');
  const ranksText = readFileSync(ranks, 'utf8');
  yield* casesOf('cl100k_base', cl100kBase(ranksText), texts, kernels.threads);
  yield* casesOf('BPE of 8,192', trainBpe({ texts, vocabSize: 8192 }), texts, kernels.threads);
}

async function* casesOf(
  name: string,
  tokenizer: BpeTokenizer,
  texts: readonly string[],
  threads: number,
): AsyncIterable<Case> {
  const work = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const tokenizerJson = JSON.stringify(tokenizer);
  const ids = texts.map((text) => tokenizer.encode(text));
  const pool = new EncodingThreads({ tokenizerJson, texts, isCl100k: name === 'cl100k_base' }, threads);
  const native = await startTokenizers(tokenizerJson, texts, threads);
  try {
    if (name === 'cl100k_base') requireSameAsTiktoken(texts, ids);
    await native?.requireSame(ids);
    const peers = [
      ...(name === 'cl100k_base'
        ? [{ name: 'npm tiktoken', rate: () => work / pool.seconds('tiktoken') }]
        : []),
      ...(native ? [{ name: `npm tokenizers ${native.version}`, rate: () => native.rate(work) }] : []),
    ];
    const [limit, ...others] = peers;
    if (!limit) return;
    const common = { unit: 'B/s', work, limit, peers: others, windowMs: WINDOW_MS };
    yield { ...common, name, run: () => pool.run('ours') };
    yield {
      ...common,
      name: `${name}, nothing seen`,
      rate: () => work / pool.seconds('new'),
      run: () => pool.run('new'),
    };
  } finally {
    await pool.close();
    native?.close();
  }
}

function requireSameAsTiktoken(texts: readonly string[], ids: readonly Int32Array[]): void {
  const oracle = get_encoding('cl100k_base');
  texts.forEach((text, i) => {
    const expected = oracle.encode_ordinary(text);
    const same = expected.length === ids[i].length && expected.every((id, at) => id === ids[i][at]);
    if (!same) throw new Error(`text ${i} has other ids in tiktoken: ${JSON.stringify(text.slice(0, 80))}`);
  });
  oracle.free();
}
