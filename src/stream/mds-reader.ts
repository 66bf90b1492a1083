/**
 * Reads an MDS data set by sample number. Nothing is read before it is needed: opening checks the index and the size of
 * every shard file; the first touch of a shard checks its digest (where the index has one) and its table of offsets;
 * a sample is one positioned read from the page cache. gz and br shards are unpacked into memory.
 * Limits: local files; no zstd, snappy or bz2.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { assert, DabarexError } from '../base/index.ts';
import { columnsOf, type MdsColumn, type MdsShardEntry, readMdsIndex } from './mds-index.ts';
import { openShard, type ShardBytes } from './shard-bytes.ts';

export interface MdsReaderOptions {
  /** `hash` (default): digests are checked once per shard; `size`: only sizes and offsets */
  readonly verify?: 'hash' | 'size';
  /**
   * `present` (default): the sizes of all shard files are checked when the reader is made; `arriving`: only index.json must
   * be there, and a shard's file is checked when the shard is first opened
   */
  readonly files?: 'present' | 'arriving';
  /** memory for unpacked shards and offset tables; default 256 MiB; the shard in use always stays */
  readonly cacheBytes?: number;
}

/** The file a shard is read from: the compressed one where there is one. */
export interface MdsShardFile {
  /** relative to the folder */
  readonly basename: string;
  readonly sizeBytes: number;
  /** lower-case hex by name of the algorithm */
  readonly hashes: Readonly<Record<string, string>>;
}

interface OpenShard {
  readonly bytes: ShardBytes;
  /** n + 1 absolute offsets */
  readonly offsets: Uint32Array;
  readonly columns: readonly MdsColumn[];
}

const MAX_OPEN_SHARDS = 64;

/** Random access to the samples of one folder. Close it to give the file handles back. */
export class MdsReader implements Iterable<Record<string, unknown>> {
  readonly dir: string;
  readonly numSamples: number;
  private readonly shards: readonly MdsShardEntry[];
  /** firstSample[s] = number of the first sample of shard s; one more entry at the end */
  private readonly firstSample: Float64Array;
  private readonly verifyHash: boolean;
  private readonly cacheBytes: number;
  private readonly verified = new Set<number>();
  /** least recently used first */
  private readonly open = new Map<number, OpenShard>();
  private heldBytes = 0;

  /**
   * @throws shard_index_invalid and, with files `present`, shard_missing, shard_truncated (a file shorter than the index says),
   * shard_corrupt (longer)
   */
  constructor(
    dir: string,
    { verify = 'hash', files = 'present', cacheBytes = 2 ** 28 }: MdsReaderOptions = {},
  ) {
    this.dir = dir;
    this.shards = readMdsIndex(dir);
    this.verifyHash = verify === 'hash';
    this.cacheBytes = cacheBytes;
    this.firstSample = new Float64Array(this.shards.length + 1);
    for (const [s, shard] of this.shards.entries()) {
      this.firstSample[s + 1] = this.firstSample[s]! + shard.samples;
      if (files === 'present') this.checkFile(s);
    }
    this.numSamples = this.firstSample[this.shards.length]!;
  }

  /** Samples of each shard. */
  get shardSizes(): number[] {
    return this.shards.map((each) => each.samples);
  }

  /** Name and encoding of each column of the first shard; [] for an empty data set. */
  get columns(): { name: string; encoding: string }[] {
    const first = this.shards[0];
    return first
      ? columnsOf(first, this.dir).map((each) => ({ name: each.name, encoding: each.encodingName }))
      : [];
  }

  get numShards(): number {
    return this.shards.length;
  }

  /** The shard that holds a sample. */
  shardOf(index: number): number {
    assert(Number.isInteger(index) && index >= 0 && index < this.numSamples, `sample ${index} out of range`);
    let low = 0;
    let high = this.shards.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.firstSample[middle]! <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The file that must be there before a sample of the shard is read. */
  shardFile(shard: number): MdsShardFile {
    const { zip_data, raw_data } = this.entry(shard);
    const { basename, bytes, hashes } = zip_data ?? raw_data;
    return { basename, sizeBytes: bytes, hashes };
  }

  /** Closes the file of a shard, which may go away now. Reading from the shard opens, and checks, it anew. */
  forget(shard: number): void {
    this.entry(shard);
    this.verified.delete(shard);
    this.closeShard(shard);
  }

  /**
   * The sample with this number, in memory of its own.
   * @throws shard_missing, shard_truncated, shard_corrupt
   */
  read(index: number): Record<string, unknown> {
    const number = this.shardOf(index);
    const shard = this.shard(number);
    const i = index - this.firstSample[number]!;
    const where = `${shard.bytes.path}: sample ${i}`;
    return decodeSample(shard.bytes.read(shard.offsets[i]!, shard.offsets[i + 1]!), shard.columns, where);
  }

  *[Symbol.iterator](): Iterator<Record<string, unknown>> {
    for (let i = 0; i < this.numSamples; i++) yield this.read(i);
  }

  /** Checks every shard now: digests, offsets. @throws as {@link read} */
  verifyAll(): void {
    for (let s = 0; s < this.shards.length; s++) this.shard(s);
  }

  close(): void {
    for (const each of this.open.values()) each.bytes.close();
    this.open.clear();
    this.heldBytes = 0;
  }

  private entry(shard: number): MdsShardEntry {
    const entry = this.shards[shard];
    assert(entry, `shard ${shard} out of range`);
    return entry;
  }

  private checkFile(shard: number): void {
    const { basename, sizeBytes } = this.shardFile(shard);
    checkFileSize(join(this.dir, basename), sizeBytes);
  }

  private shard(number: number): OpenShard {
    const known = this.open.get(number);
    if (known) {
      this.open.delete(number);
      this.open.set(number, known);
      return known;
    }
    const entry = this.shards[number]!;
    if (!this.verified.has(number)) this.checkFile(number);
    const bytes = openShard(this.dir, entry, this.verifyHash && !this.verified.has(number));
    try {
      const offsets = readOffsets(bytes, entry);
      const shard = { bytes, offsets, columns: columnsOf(entry, bytes.path) };
      this.verified.add(number);
      this.open.set(number, shard);
      this.heldBytes += bytes.heldBytes + offsets.byteLength;
      this.evict();
      return shard;
    } catch (error) {
      bytes.close();
      throw error;
    }
  }

  private evict(): void {
    for (const number of this.open.keys()) {
      const fits = this.open.size <= MAX_OPEN_SHARDS && this.heldBytes <= this.cacheBytes;
      if (fits || this.open.size === 1) return;
      this.closeShard(number);
    }
  }

  private closeShard(number: number): void {
    const shard = this.open.get(number);
    if (!shard) return;
    this.heldBytes -= shard.bytes.heldBytes + shard.offsets.byteLength;
    shard.bytes.close();
    this.open.delete(number);
  }
}

function checkFileSize(path: string, expectedBytes: number): void {
  let foundBytes: number;
  try {
    foundBytes = statSync(path).size;
  } catch {
    throw new DabarexError(
      'shard_missing',
      `${path} is named by index.json but does not exist. Copy it there or write the data set again.`,
      { path },
    );
  }
  if (foundBytes === expectedBytes) return;
  throw new DabarexError(
    foundBytes < expectedBytes ? 'shard_truncated' : 'shard_corrupt',
    `${path} has ${foundBytes} bytes, but index.json says ${expectedBytes}. Copy it again or write the data set again.`,
    { path, foundBytes, expectedBytes },
  );
}

function readOffsets(bytes: ShardBytes, entry: MdsShardEntry): Uint32Array {
  const { samples } = entry;
  const tableBytes = 4 * (samples + 2);
  if (bytes.sizeBytes < tableBytes) throw corrupt(bytes.path, `is too short for ${samples} offsets`);
  const words = new Uint32Array(bytes.read(0, tableBytes).slice().buffer);
  if (words[0] !== samples)
    throw corrupt(bytes.path, `holds ${words[0]} samples; index.json says ${samples}`);
  const offsets = words.subarray(1);
  let last = tableBytes;
  for (const offset of offsets) {
    if (offset < last) throw corrupt(bytes.path, `has an offset ${offset} below the one before it, ${last}`);
    last = offset;
  }
  if (last !== bytes.sizeBytes)
    throw corrupt(bytes.path, `ends at ${bytes.sizeBytes}, not at offset ${last}`);
  return offsets;
}

function decodeSample(
  bytes: Uint8Array,
  columns: readonly MdsColumn[],
  where: string,
): Record<string, unknown> {
  const numVariable = columns.reduce((n, each) => n + (each.encoding.sizeBytes === null ? 1 : 0), 0);
  if (bytes.length < 4 * numVariable) throw corrupt(where, 'is too short for its sizes');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 4 * numVariable;
  let variable = 0;
  const entries = columns.map(({ name, encoding, encodingName }): [string, unknown] => {
    const size = encoding.sizeBytes ?? view.getUint32(4 * variable++, true);
    if (at + size > bytes.length) throw corrupt(where, `ends inside column "${name}"`);
    const value = encoding.decode(bytes.subarray(at, at + size));
    if (value === undefined) throw corrupt(where, `column "${name}" is no ${encodingName}`);
    at += size;
    return [name, value];
  });
  if (at !== bytes.length) throw corrupt(where, `has ${bytes.length - at} bytes after its last column`);
  return Object.fromEntries(entries);
}

function corrupt(where: string, problem: string): DabarexError {
  return new DabarexError(
    'shard_corrupt',
    `${where} ${problem}. Copy the shard again or write the data set again.`,
    {
      where,
    },
  );
}
