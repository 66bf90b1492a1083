/**
 * Indexing text files: one pass at the first opening that cuts a file into chunks (text-chunks.ts), in threads, block by block. The
 * index stands in the cache under the hash of the file's content, the tokenizer and the settings; so it is found again for a copy or a
 * file that was only touched, and never taken for another's. Blocks done so far are in a journal: a pass that was
 * killed goes on after them.
 * Limit: an index of 2 GiB, which is some 300 GB of text in one file.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, rmSync, truncateSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  DabarexError,
  fileError,
  moduleBeside,
  type OnProgress,
  ThreadPool,
  waitForLock,
  writeFileAtomic,
} from '../base/index.ts';
import { TokenBuffer, type Tokenizer } from '../tokenizer/index.ts';
import { lineBlocks, textBlocks } from './rows/blocks.ts';
import { Chunker, type ChunkSettings, type Chunks } from './text-chunks.ts';
import { type IndexRecord, joinRecords, packRecord, readRecords } from './text-index-file.ts';
import type { ChunkJob, ChunkWorkerData } from './text-index-worker.ts';
import { contentOf, type FileStamp, requireUnchanged } from './text-stamp.ts';

/** Raised whenever the same content and settings give other chunks than before. */
const CODE_VERSION = 1;
/** Less text than this is not worth starting threads for. */
const THREADED_BYTES = 1 << 23;

export interface IndexOptions extends ChunkSettings {
  readonly tokenizer: Tokenizer;
  readonly cacheDir: string;
  readonly threads: number;
  readonly signal?: AbortSignal;
}

export interface IndexedFile {
  readonly path: string;
  readonly stamp: FileStamp;
  readonly chunks: Chunks;
}

type Chunk = (job: ChunkJob) => Promise<Chunks>;

/** Finds or makes the indexes of files with one tokenizer; close it to end its threads. */
export class TextIndexer {
  private readonly options: IndexOptions;
  private readonly tokenizerSha256: string;
  private readonly tokenizerJson: string;
  private readonly out = new TokenBuffer();
  private pool: ThreadPool<ChunkJob, Chunks> | undefined;

  constructor(options: IndexOptions) {
    this.options = options;
    this.tokenizerJson = JSON.stringify(options.tokenizer);
    this.tokenizerSha256 = createHash('sha256').update(this.tokenizerJson).digest('hex');
  }

  /** @throws file_missing, text_invalid, text_changed, and what {@link fileError} knows of the cache */
  async index(path: string, onProgress?: OnProgress): Promise<IndexedFile> {
    const { cacheDir, format, textField, chunkBytes, signal } = this.options;
    const { sha256, stamp } = await contentOf(path, cacheDir, { onProgress, signal });
    const field = format === 'jsonl' ? textField : '';
    const key = JSON.stringify([CODE_VERSION, sha256, this.tokenizerSha256, format, field, chunkBytes]);
    const name = createHash('sha256').update(key).digest('hex').slice(0, 32);
    const place = join(cacheDir, 'indexes', name);
    const known = finished(place, stamp);
    if (known) return { path, stamp, chunks: known };
    try {
      mkdirSync(dirname(place), { recursive: true });
      const release = await waitForLock(`${place}.lock`, this.options);
      try {
        const chunks = finished(place, stamp) ?? (await this.make(path, place, stamp, onProgress));
        return { path, stamp, chunks };
      } finally {
        release();
      }
    } catch (error) {
      throw fileError(error, place);
    }
  }

  async close(): Promise<void> {
    await this.pool?.close();
  }

  private async make(
    path: string,
    place: string,
    stamp: FileStamp,
    onProgress: OnProgress | undefined,
  ): Promise<Chunks> {
    const { signal, format, tokenizer } = this.options;
    const journal = `${place}.journal`;
    const { records, validBytes } = readRecords(journal);
    if (records.length > 0) truncateSync(journal, validBytes);
    else rmSync(journal, { force: true });
    const startByte = records.at(-1)?.endByte ?? 0;
    const blocks =
      format === 'jsonl'
        ? lineBlocks(path, { startByte, signal })
        : textBlocks(path, tokenizer, { startByte, signal });
    const chunk = this.chunkerFor(stamp.sizeBytes - startByte);
    const queue: { readonly endByte: number; readonly chunks: Promise<Chunks> }[] = [];
    const takeFirst = async (): Promise<void> => {
      signal?.throwIfAborted();
      const { endByte, chunks } = queue.shift()!;
      const record = { chunks: await chunks, endByte };
      appendFileSync(journal, packRecord(record));
      records.push(record);
      onProgress?.({ stage: 'index', done: endByte, total: stamp.sizeBytes, unit: 'bytes' });
    };
    for await (const { bytes, startByte: at } of blocks) {
      const endByte = at + bytes.length;
      const chunks = chunk({ bytes, startByte: at, isLast: endByte >= stamp.sizeBytes, path });
      chunks.catch(() => {}); // told when its turn comes
      queue.push({ endByte, chunks });
      // Without threads each block is done by now.
      while (queue.length > (this.pool ? 3 * this.options.threads : 0)) await takeFirst();
    }
    while (queue.length > 0) await takeFirst();
    return publish(path, place, stamp, records);
  }

  private chunkerFor(bytes: number): Chunk {
    const { threads, tokenizer, format, textField, chunkBytes } = this.options;
    const settings = { format, textField, chunkBytes };
    if (bytes < THREADED_BYTES) {
      return async (job) => new Chunker(job.path, tokenizer, settings, this.out).chunk(job);
    }
    const workerData: ChunkWorkerData = { tokenizerJson: this.tokenizerJson, settings };
    this.pool ??= new ThreadPool({
      url: moduleBeside(import.meta.url, 'text-index-worker'),
      workerData,
      threads,
    });
    const { pool } = this;
    return (job) => pool.run(job, [job.bytes.buffer as ArrayBuffer]);
  }
}

function publish(path: string, place: string, stamp: FileStamp, records: readonly IndexRecord[]): Chunks {
  const index = joinRecords(records);
  requireUnchanged(path, stamp);
  if (index.endByte !== stamp.sizeBytes) {
    const message = `${path} was indexed up to byte ${index.endByte} of ${stamp.sizeBytes}. Leave it as it is, and open it again.`;
    throw new DabarexError('text_changed', message, { path });
  }
  writeFileAtomic(`${place}.index`, packRecord(index));
  rmSync(`${place}.journal`, { force: true });
  return index.chunks;
}

/** The chunks of a finished index that fits the file. */
function finished(place: string, stamp: FileStamp): Chunks | undefined {
  const record = readRecords(`${place}.index`).records[0];
  return record?.endByte === stamp.sizeBytes ? record.chunks : undefined;
}
