/** The bytes of one shard: a file read by position, or a compressed one unpacked into memory, its digest checked first. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { DabarexError } from '../base/index.ts';
import { checkableHash, hashBytes } from './hashes.ts';
import type { MdsShardEntry } from './mds-index.ts';

export interface ShardBytes {
  readonly path: string;
  readonly sizeBytes: number;
  /** memory it keeps */
  readonly heldBytes: number;
  /** The bytes from `start` up to `end`, no Buffer (whose `slice` would share); may share memory with the shard. @throws shard_truncated */
  read(start: number, end: number): Uint8Array;
  close(): void;
}

const CHUNK_BYTES = 1 << 22;

/** @throws shard_missing, shard_truncated, shard_corrupt */
export function openShard(dir: string, entry: MdsShardEntry, verifyHash: boolean): ShardBytes {
  return entry.zip_data
    ? unpackShard(join(dir, entry.zip_data.basename), entry, verifyHash)
    : openFile(join(dir, entry.raw_data.basename), entry, verifyHash);
}

function openFile(path: string, entry: MdsShardEntry, verifyHash: boolean): ShardBytes {
  const handle = openOrThrow(path);
  const sizeBytes = entry.raw_data.bytes;
  const read = (start: number, end: number): Uint8Array => {
    const bytes = new Uint8Array(end - start);
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(handle, bytes, filled, bytes.length - filled, start + filled);
      if (count === 0) throw truncated(path, start + filled, sizeBytes);
      filled += count;
    }
    return bytes;
  };
  try {
    const foundBytes = fstatSync(handle).size;
    if (foundBytes < sizeBytes) throw truncated(path, foundBytes, sizeBytes);
    if (verifyHash) checkHash(path, entry.raw_data.hashes, chunks(read, sizeBytes));
  } catch (error) {
    closeSync(handle);
    throw error;
  }
  return { path, sizeBytes, heldBytes: 0, read, close: () => closeSync(handle) };
}

function unpackShard(path: string, entry: MdsShardEntry, verifyHash: boolean): ShardBytes {
  const zip = entry.zip_data!;
  const packed = readOrThrow(path);
  if (packed.length < zip.bytes) throw truncated(path, packed.length, zip.bytes);
  if (verifyHash) checkHash(path, zip.hashes, [packed]);
  const algorithm = entry.compression?.split(':')[0];
  const unpack = algorithm === 'gz' ? gunzipSync : algorithm === 'br' ? brotliDecompressSync : undefined;
  if (!unpack) {
    throw new DabarexError(
      'shard_compression_unsupported',
      `${path} is compressed with "${entry.compression}"; gz and br can be read. Write the data set with one of them.`,
      { path, compression: entry.compression },
    );
  }
  let bytes: Buffer;
  try {
    bytes = unpack(packed, { maxOutputLength: Math.max(1, entry.raw_data.bytes) });
  } catch (error) {
    throw corrupt(path, `cannot be unpacked (${(error as Error).message})`);
  }
  if (bytes.length !== entry.raw_data.bytes) {
    throw corrupt(path, `unpacks to ${bytes.length} bytes, not ${entry.raw_data.bytes}`);
  }
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    path,
    sizeBytes: plain.length,
    heldBytes: plain.length,
    read: (start, end) => plain.subarray(start, end),
    close: () => {},
  };
}

function* chunks(read: (start: number, end: number) => Uint8Array, sizeBytes: number): Generator<Uint8Array> {
  for (let start = 0; start < sizeBytes; start += CHUNK_BYTES) {
    yield read(start, Math.min(sizeBytes, start + CHUNK_BYTES));
  }
}

function checkHash(
  path: string,
  hashes: Readonly<Record<string, string>>,
  parts: Iterable<Uint8Array>,
): void {
  const known = checkableHash(hashes);
  if (!known) return;
  const [name, expected] = known;
  const found = hashBytes(name, parts);
  if (found !== expected.toLowerCase()) {
    throw corrupt(path, `has ${name} ${found}, but index.json says ${expected}: its content changed`);
  }
}

function openOrThrow(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw missing(path, cause);
  }
}

function readOrThrow(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw missing(path, cause);
  }
}

function missing(path: string, cause: unknown): DabarexError {
  const problem = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
  return new DabarexError(
    'shard_missing',
    `${path} cannot be opened (${problem}). Copy it there or write the data set again.`,
    { path, problem },
    { cause },
  );
}

function truncated(path: string, foundBytes: number, expectedBytes: number): DabarexError {
  return new DabarexError(
    'shard_truncated',
    `${path} ends at byte ${foundBytes}, but index.json says ${expectedBytes}. Copy it again or write the data set again.`,
    { path, foundBytes, expectedBytes },
  );
}

function corrupt(path: string, problem: string): DabarexError {
  return new DabarexError('shard_corrupt', `${path} ${problem}. Copy it again or write the data set again.`, {
    path,
  });
}
