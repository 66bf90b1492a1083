/**
 * The bytes of one shard, where samples are found by offset. A raw file is read forward through a window of 256 KiB, which stays
 * in the processor's cache; read here and there, sample by sample, until that has cost about as much as reading the whole
 * file, which is then done. A compressed shard is unpacked, in memory or into a file.
 */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError, writeFileAtomic } from '../base/index.ts';
import { unpack } from './compression.ts';
import { checkableHash, hashBytes } from './hashes.ts';
import type { MdsShardEntry } from './mds-index.ts';

type FileEntry = MdsShardEntry['raw_data'];

/** Memory that the shards of a reader share. */
export interface ShardMemory {
  /** Room for a whole shard, or undefined where it does not fit at all; other shards may be closed for it. */
  take(sizeBytes: number): Uint8Array | undefined;
  /** Counts memory that was taken elsewhere. */
  count(sizeBytes: number): void;
  /** Gives back what {@link take} gave or {@link count} counted, which may be used for another shard. */
  release(bytes: Uint8Array, sizeBytes: number): void;
}

export interface ShardBytes {
  readonly path: string;
  readonly sizeBytes: number;
  /** where {@link locate} has put the bytes */
  readonly buffer: Uint8Array;
  /**
   * Has the bytes from `start` up to `end` (within `sizeBytes`) in {@link buffer} until the next call; returns where they begin in it.
   * @throws shard_truncated
   */
  locate(start: number, end: number): number;
  close(): void;
}

export interface OpenShardOptions {
  readonly verifyHash: boolean;
  readonly memory: ShardMemory;
  /** folder for unpacked copies of compressed shards; in memory without */
  readonly unpackTo?: string;
}

const WINDOW_BYTES = 1 << 18;
const HASH_CHUNK_BYTES = 1 << 20;
/** A read of one sample costs about as much as this many bytes of one long read. */
const BYTES_PER_SMALL_READ = 1 << 14;

/** @throws shard_missing, shard_truncated, shard_corrupt, shard_compression_unsupported */
export function openShard(dir: string, entry: MdsShardEntry, options: OpenShardOptions): ShardBytes {
  const { verifyHash, memory, unpackTo } = options;
  const { raw_data: raw, zip_data: zip } = entry;
  const rawPath = join(dir, raw.basename);
  // A folder that another reader has unpacked may hold the raw file only.
  if (!zip || hasSize(rawPath, raw.bytes)) return RawShard.open(rawPath, raw, verifyHash, memory);
  if (unpackTo === undefined) {
    return new UnpackedShard(join(dir, zip.basename), unpackFile(dir, entry, verifyHash), memory);
  }
  const copy = join(unpackTo, raw.basename);
  if (!hasSize(copy, raw.bytes)) writeFileAtomic(copy, unpackFile(dir, entry, verifyHash));
  return RawShard.open(copy, raw, verifyHash, memory);
}

/** Whether a file of exactly this size is there. */
export function hasSize(path: string, sizeBytes: number): boolean {
  return existsSync(path) && statSync(path).size === sizeBytes;
}

/** @throws shard_corrupt where a digest of the index that is known here differs */
export function checkHash(path: string, file: FileEntry, parts: Iterable<Uint8Array>): void {
  const known = checkableHash(file.hashes);
  if (!known) return;
  const [name, expected] = known;
  const found = hashBytes(name, parts);
  if (found !== expected.toLowerCase()) {
    throw corrupt(path, `has ${name} ${found}, but index.json says ${expected}: its content changed`);
  }
}

class RawShard implements ShardBytes {
  readonly path: string;
  readonly sizeBytes: number;
  private readonly file: number;
  private readonly memory: ShardMemory;
  private bytes: Uint8Array = new Uint8Array(0);
  /** what `bytes` holds of the file */
  private from = 0;
  private to = 0;
  private lastEnd = -1;
  private smallReads = 0;
  private whole = false;

  static open(path: string, entry: FileEntry, verifyHash: boolean, memory: ShardMemory): RawShard {
    const shard = new RawShard(path, entry.bytes, openOrThrow(path), memory);
    try {
      const foundBytes = fstatSync(shard.file).size;
      if (foundBytes < entry.bytes) throw truncated(path, foundBytes, entry.bytes);
      if (verifyHash) checkHash(path, entry, shard.chunks());
    } catch (error) {
      shard.close();
      throw error;
    }
    return shard;
  }

  private constructor(path: string, sizeBytes: number, file: number, memory: ShardMemory) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.file = file;
    this.memory = memory;
  }

  get buffer(): Uint8Array {
    return this.bytes;
  }

  locate(start: number, end: number): number {
    const forward = start === this.lastEnd;
    this.lastEnd = end;
    if (start < this.from || end > this.to) this.load(start, end, forward);
    return start - this.from;
  }

  close(): void {
    closeSync(this.file);
    if (this.whole) this.memory.release(this.bytes, this.sizeBytes);
  }

  private load(start: number, end: number, forward: boolean): void {
    if (forward) {
      this.fill(start, Math.min(this.sizeBytes, Math.max(end, start + WINDOW_BYTES)));
    } else if (++this.smallReads * BYTES_PER_SMALL_READ > this.sizeBytes && this.takeWhole()) {
      this.fill(0, this.sizeBytes);
    } else {
      this.fill(start, end);
    }
  }

  private takeWhole(): boolean {
    const bytes = this.memory.take(this.sizeBytes);
    if (!bytes) return false;
    this.bytes = bytes;
    this.whole = true;
    return true;
  }

  private fill(start: number, end: number): void {
    const length = end - start;
    if (this.bytes.length < length) this.bytes = new Uint8Array(Math.max(length, 2 * this.bytes.length));
    this.to = this.from = start;
    this.readInto(this.bytes, start, length);
    this.to = end;
  }

  private readInto(target: Uint8Array, start: number, length: number): void {
    let filled = 0;
    while (filled < length) {
      const count = readSync(this.file, target, filled, length - filled, start + filled);
      if (count === 0) throw truncated(this.path, start + filled, this.sizeBytes);
      filled += count;
    }
  }

  private *chunks(): Generator<Uint8Array> {
    const chunk = new Uint8Array(Math.min(this.sizeBytes, HASH_CHUNK_BYTES));
    for (let start = 0; start < this.sizeBytes; start += chunk.length) {
      const length = Math.min(chunk.length, this.sizeBytes - start);
      this.readInto(chunk, start, length);
      yield chunk.subarray(0, length);
    }
  }
}

class UnpackedShard implements ShardBytes {
  readonly path: string;
  readonly buffer: Uint8Array;
  private readonly memory: ShardMemory;

  constructor(path: string, buffer: Uint8Array, memory: ShardMemory) {
    this.path = path;
    this.buffer = buffer;
    this.memory = memory;
    memory.count(buffer.length);
  }

  get sizeBytes(): number {
    return this.buffer.length;
  }

  locate(start: number): number {
    return start;
  }

  close(): void {
    this.memory.release(this.buffer, this.buffer.length);
  }
}

function unpackFile(dir: string, entry: MdsShardEntry, verifyHash: boolean): Uint8Array {
  const zip = entry.zip_data!;
  const path = join(dir, zip.basename);
  const packed = readOrThrow(path, zip.bytes);
  if (packed.length < zip.bytes) throw truncated(path, packed.length, zip.bytes);
  if (verifyHash) checkHash(path, zip, [packed]);
  return unpack(entry.compression ?? '', packed, entry.raw_data.bytes, path);
}

function openOrThrow(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    throw missing(path, cause);
  }
}

/** No more than is expected is read, whatever the file has become. */
function readOrThrow(path: string, sizeBytes: number): Uint8Array {
  try {
    const foundBytes = statSync(path).size;
    if (foundBytes > sizeBytes) throw corrupt(path, `has ${foundBytes} bytes, not ${sizeBytes}`);
    return readFileSync(path);
  } catch (cause) {
    throw cause instanceof DabarexError ? cause : missing(path, cause);
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
