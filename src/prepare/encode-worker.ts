/** A thread of {@link EncodePool}: texts in, tokens out. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadTokenizer } from '../tokenizer/index.ts';

export interface EncodeJob {
  readonly id: number;
  readonly texts: readonly string[];
}

export interface EncodeAnswer {
  readonly id: number;
  readonly tokens: Int32Array;
}

const { tokenizerPath } = workerData as { tokenizerPath: string };
const tokenizer = loadTokenizer(tokenizerPath);

parentPort!.on('message', ({ id, texts }: EncodeJob) => {
  const parts = texts.map((text) => tokenizer.encode(text));
  const tokens = new Int32Array(parts.reduce((sum, each) => sum + each.length + 1, 0));
  let at = 0;
  for (const part of parts) {
    tokens.set(part, at);
    at += part.length;
    tokens[at++] = tokenizer.endOfTextId;
  }
  const answer: EncodeAnswer = { id, tokens };
  parentPort!.postMessage(answer, [tokens.buffer]);
});
