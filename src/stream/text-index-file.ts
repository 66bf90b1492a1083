/**
 * The index of a text file on disk: records of chunks, each with its length and digest, so that a record that was cut off or
 * damaged is seen. A finished index is one record; the journal of one being made is one record a block.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Chunks } from './text-chunks.ts';

const MAGIC = 0x78746264;
/** Magic, number of chunks, place where the next block begins. */
const HEAD_BYTES = 16;
const DIGEST_BYTES = 32;
const CHUNK_BYTES = 17;

export interface IndexRecord {
  readonly chunks: Chunks;
  /** place in the text file up to which it is indexed */
  readonly endByte: number;
}

export function packRecord({ chunks, endByte }: IndexRecord): Buffer {
  const { starts, sizes, tokens, kinds } = chunks;
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt32LE(starts.length, 4);
  head.writeDoubleLE(endByte, 8);
  const columns = [starts, sizes, tokens, kinds].map((each) =>
    Buffer.from(each.buffer, each.byteOffset, each.byteLength),
  );
  const body = Buffer.concat([head, ...columns]);
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

/** The whole records at the start of the file at `path`; none where it is not there. */
export function readRecords(path: string): { records: IndexRecord[]; validBytes: number } {
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch {
    return { records: [], validBytes: 0 };
  }
  const records: IndexRecord[] = [];
  let at = 0;
  for (;;) {
    const record = unpackRecord(file.subarray(at));
    if (!record) return { records, validBytes: at };
    records.push(record);
    at += recordBytes(record.chunks.starts.length);
  }
}

/** One record of the chunks of many. */
export function joinRecords(records: readonly IndexRecord[]): IndexRecord {
  const length = records.reduce((sum, { chunks }) => sum + chunks.starts.length, 0);
  const chunks = {
    starts: new Float64Array(length),
    sizes: new Uint32Array(length),
    tokens: new Uint32Array(length),
    kinds: new Uint8Array(length),
  };
  let at = 0;
  for (const { chunks: part } of records) {
    chunks.starts.set(part.starts, at);
    chunks.sizes.set(part.sizes, at);
    chunks.tokens.set(part.tokens, at);
    chunks.kinds.set(part.kinds, at);
    at += part.starts.length;
  }
  return { chunks, endByte: records.at(-1)?.endByte ?? 0 };
}

function unpackRecord(bytes: Buffer): IndexRecord | undefined {
  if (bytes.length < HEAD_BYTES + DIGEST_BYTES || bytes.readUInt32LE(0) !== MAGIC) return undefined;
  const length = bytes.readUInt32LE(4);
  const total = recordBytes(length);
  if (bytes.length < total) return undefined;
  const body = bytes.subarray(0, total - DIGEST_BYTES);
  const digest = bytes.subarray(total - DIGEST_BYTES, total);
  if (!createHash('sha256').update(body).digest().equals(digest)) return undefined;
  // A copy starts at a multiple of eight, as the columns need.
  const columns = Uint8Array.prototype.slice.call(body, HEAD_BYTES).buffer as ArrayBuffer;
  return {
    chunks: {
      starts: new Float64Array(columns, 0, length),
      sizes: new Uint32Array(columns, 8 * length, length),
      tokens: new Uint32Array(columns, 12 * length, length),
      kinds: new Uint8Array(columns, 16 * length, length),
    },
    endByte: body.readDoubleLE(8),
  };
}

function recordBytes(numChunks: number): number {
  return HEAD_BYTES + CHUNK_BYTES * numChunks + DIGEST_BYTES;
}
