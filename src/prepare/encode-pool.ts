/**
 * Encoding in worker threads. Lines of documents go there as the bytes that stand in the file, so that nothing but reading is left
 * to the thread that asks; a text too long for one thread goes in parts that end where the tokenizer splits anyway.
 */
import { moduleBeside, ThreadPool } from '../base/index.ts';
import type { LineBlock } from '../stream/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import type { EncodeAnswer, EncodeJob } from './encode-worker.ts';

const PART_BYTES = 1 << 20;

export class EncodePool {
  private readonly pool: ThreadPool<EncodeJob, EncodeAnswer>;
  private readonly tokenizer: Tokenizer;

  /** @param tokenizerPath a tokenizer.json, loaded once by each thread; @param tokenizer the same */
  constructor(tokenizerPath: string, tokenizer: Tokenizer, threads: number) {
    const url = moduleBeside(import.meta.url, 'encode-worker');
    this.pool = new ThreadPool({ url, workerData: { tokenizerPath }, threads });
    this.tokenizer = tokenizer;
  }

  get threads(): number {
    return this.pool.threads;
  }

  /** the token that ends a document */
  get endOfTextId(): number {
    return this.tokenizer.endOfTextId;
  }

  /**
   * The tokens of the documents in `lines`, the end-of-text token after each.
   * @param block lines of the document file at `path`, given away
   * @throws documents_invalid for a line that is not a document
   */
  encodeLines({ bytes, startByte }: LineBlock, path: string): Promise<EncodeAnswer> {
    return this.pool.run({ kind: 'lines', bytes, path, startByte }, [bytes.buffer]);
  }

  /** The tokens of one text as several answers, whose tokens in order are all of it; the end-of-text token ends the last. */
  encodeText(text: string): Promise<EncodeAnswer>[] {
    const bytes = new TextEncoder().encode(text);
    const answers: Promise<EncodeAnswer>[] = [];
    for (let start = 0; start < bytes.length || start === 0; ) {
      const end = this.tokenizer.safeCut(bytes, start + PART_BYTES);
      const part = bytes.slice(start, end);
      const ends = end === bytes.length;
      answers.push(this.pool.run({ kind: 'part', bytes: part, ends }, [part.buffer]));
      if (ends) return answers;
      start = end;
    }
    return answers;
  }

  close(): Promise<void> {
    return this.pool.close();
  }
}
