/** A thread that cuts blocks of text files into chunks and counts their tokens. */
import { workerData } from 'node:worker_threads';
import { answerJobs } from '../base/index.ts';
import { parseTokenizer, TokenBuffer } from '../tokenizer/index.ts';
import { Chunker, type ChunkSettings, type Chunks, type TextBlock } from './text-chunks.ts';

export interface ChunkJob extends TextBlock {
  readonly path: string;
}

export interface ChunkWorkerData {
  /** tokenizer.json */
  readonly tokenizerJson: string;
  readonly settings: ChunkSettings;
}

const { tokenizerJson, settings } = workerData as ChunkWorkerData;
const tokenizer = parseTokenizer(JSON.parse(tokenizerJson));
const out = new TokenBuffer();

answerJobs((job: ChunkJob): { answer: Chunks } => ({
  answer: new Chunker(job.path, tokenizer, settings, out).chunk(job),
}));
