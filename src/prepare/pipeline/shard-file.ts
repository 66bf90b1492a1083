/**
 * The files between stages: documents as JSON Lines, compressed with brotli at its fastest level (150 MB/s here, where gzip's
 * makes 75). A shard holds about {@link SHARD_TEXT_BYTES} of text, so what a thread has in memory does not hang on the size of
 * the corpus; where shards end hangs on the sources alone, never on memory, threads or tasks.
 * Limit: a document is in memory whole, hence {@link MAX_DOCUMENT_BYTES}.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib';
import { DabarexError, writeFileAtomic } from '../../base/index.ts';
import { linesIn } from '../../stream/index.ts';
import { type Document, documentLines } from '../documents.ts';

/** UTF-8 bytes of text after which a shard is closed. */
export const SHARD_TEXT_BYTES = 16 << 20;
/** UTF-8 bytes of one document. */
export const MAX_DOCUMENT_BYTES = 128 << 20;
/** Of a shard unpacked: the text of one document beyond its end, each byte as up to six of JSON. */
const MAX_UNPACKED_BYTES = 6 * (SHARD_TEXT_BYTES + MAX_DOCUMENT_BYTES);

/** A file of documents that a stage has written, as its manifest lists it. */
export interface Shard {
  /** within the folder of all stages */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly documents: number;
  /** UTF-8 bytes of the documents' text */
  readonly textBytes: number;
  /** the number of the source its documents are from, over all domains */
  readonly source: number;
}

/** Writes the documents as the shard `path` of the folder. @throws disk_full */
export function writeShard(
  stagesDir: string,
  path: string,
  documents: readonly Document[],
  source: number,
): Shard {
  const bytes = packed(documents);
  publishFile(join(stagesDir, path), bytes);
  const textBytes = documents.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { path, sizeBytes: bytes.length, sha256, documents: documents.length, textBytes, source };
}

function packed(documents: readonly Document[]): Uint8Array {
  return brotliCompressSync(Buffer.concat([...documentLines(documents)]), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 0 },
  });
}

/**
 * The documents of a shard, one at a time.
 * @throws documents_invalid where the file is not what was written
 */
export function* readShard(stagesDir: string, shard: Shard): Generator<Document> {
  for (const line of shardLines(stagesDir, shard)) yield JSON.parse(line.toString('utf8'));
}

/** The lines of a shard, without their ends. @throws documents_invalid */
export function* shardLines(stagesDir: string, shard: Shard): Generator<Buffer> {
  const bytes = unpacked(join(stagesDir, shard.path), shard);
  for (const { start, end } of linesIn(bytes)) yield bytes.subarray(start, end);
}

/** The whole of a shard as JSON Lines. @throws documents_invalid */
export function unpackedShard(stagesDir: string, shard: Shard): Buffer {
  return unpacked(join(stagesDir, shard.path), shard);
}

function unpacked(path: string, shard: Shard): Buffer {
  let cause: unknown;
  try {
    const bytes = readFileSync(path);
    if (createHash('sha256').update(bytes).digest('hex') === shard.sha256) {
      return brotliDecompressSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES });
    }
  } catch (error) {
    cause = error;
  }
  throw new DabarexError(
    'documents_invalid',
    `${path} is missing or is not what a stage of preparation wrote. Remove the folder ${dirname(path)} and prepare again.`,
    { path },
    { cause },
  );
}

/**
 * As writeFileAtomic, for files that processes on several machines may write at once, each the same: the temporary
 * names never meet.
 * @throws disk_full
 */
export function publishFile(path: string, bytes: Uint8Array | string): void {
  writeFileAtomic(path, bytes, `${path}.tmp-${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`);
}
