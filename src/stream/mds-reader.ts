/**
 * Reads an MDS data set by sample number. Nothing is read before it is needed: opening checks the index and, unless the shards are still to
 * arrive, the size of every file; the first touch of a shard checks its digest (where the index has one) and its table of
 * offsets. How the bytes of a shard are read: shard-bytes.ts. Limit: local files.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { assert, DabarexError } from '../base/index.ts';
import { columnsOf, type MdsShardEntry, readMdsIndex } from './mds-index.ts';
import type { NdData } from './ndarray.ts';
import { SampleLayout, SampleProblem } from './sample-layout.ts';
import { hasSize, openShard, type ShardBytes, type ShardMemory } from './shard-bytes.ts';
import { readOffsets } from './shard-offsets.ts';

export interface MdsReaderOptions {
  /** `hash` (default): digests are checked once per shard; `size`: only sizes and offsets */
  readonly verify?: 'hash' | 'size';
  /**
   * `present` (default): the sizes of all shard files are checked when the reader is made; `arriving`: only index.json must
   * be there, and a shard's file is checked when the shard is first opened
   */
  readonly files?: 'present' | 'arriving';
  /** memory for shards that are read whole or unpacked, and for offset tables; default 256 MiB; the shard in use always stays */
  readonly cacheBytes?: number;
  /**
   * a folder for unpacked copies of compressed shards, which are read from there ever after; without one they are unpacked in memory, again
   * each time they were closed for another
   */
  readonly unpackTo?: string;
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
  readonly layout: SampleLayout;
  /** number of its first sample and of the one after its last */
  readonly first: number;
  readonly end: number;
  /** turn of its last use */
  used: number;
}

const MAX_OPEN_SHARDS = 64;

/** Random access to the samples of one folder. Close it to give the file handles back. */
export class MdsReader implements Iterable<Record<string, unknown>> {
  readonly dir: string;
  readonly numSamples: number;
  private readonly shards: readonly MdsShardEntry[];
  /** firstSample[s] = number of the first sample of shard s; one more entry at the end */
  private readonly firstSample: Float64Array;
  private readonly options: Required<Omit<MdsReaderOptions, 'unpackTo'>> & MdsReaderOptions;
  private readonly verified = new Set<number>();
  private readonly open = new Map<number, OpenShard>();
  private current: OpenShard | undefined;
  private turn = 0;
  private readonly memory: ReaderMemory;

  /**
   * @throws shard_index_invalid, shard_encoding_unsafe and, with files `present`, shard_missing, shard_truncated (a file shorter than the
   * index says), shard_corrupt (longer)
   */
  constructor(dir: string, options: MdsReaderOptions = {}) {
    this.dir = dir;
    this.options = { verify: 'hash', files: 'present', cacheBytes: 2 ** 28, ...options };
    this.memory = new ReaderMemory(this.options.cacheBytes, () => this.closeOldest());
    this.shards = readMdsIndex(dir);
    this.firstSample = new Float64Array(this.shards.length + 1);
    for (const [s, shard] of this.shards.entries()) {
      this.firstSample[s + 1] = this.firstSample[s]! + shard.samples;
      if (this.options.files === 'present') this.checkFile(s);
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
   * @throws shard_missing, shard_truncated, shard_corrupt, shard_compression_unsupported
   */
  read(index: number): Record<string, unknown> {
    return this.of(index, (layout, buffer, start, end) => layout.decode(buffer, start, end));
  }

  /** The bytes of the values of a sample, by column, as {@link MdsWriter} takes them. @throws as {@link read} */
  readRaw(index: number): Record<string, Uint8Array> {
    return this.of(index, (layout, buffer, start, end) => layout.raw(buffer, start, end));
  }

  /**
   * Copies the values of an `ndarray` column into `target`, an array of their type, from entry `offset` on; takes no memory. Arrays of
   * several dimensions are copied flat.
   * @returns how many values the sample holds; where there is no room for all, nothing is written
   * @throws as {@link read}; shard_corrupt where the column holds no such arrays
   */
  readInto(index: number, column: string, target: NdData, offset = 0): number {
    // As `of` does, without a function of its own for each call.
    const { bytes, offsets, layout, first } = this.shardWith(index);
    const start = offsets[index - first]!;
    const end = offsets[index - first + 1]!;
    const at = bytes.locate(start, end);
    try {
      return layout.copyArray(bytes.buffer, at, at + end - start, column, target, offset);
    } catch (error) {
      throw this.damage(error, index);
    }
  }

  *[Symbol.iterator](): Iterator<Record<string, unknown>> {
    for (let i = 0; i < this.numSamples; i++) yield this.read(i);
  }

  /** Checks a shard now: file, digest, offsets. @throws as {@link read} */
  verifyShard(shard: number): void {
    this.entry(shard);
    this.shard(shard);
  }

  /** Checks every shard now. @throws as {@link read} */
  verifyAll(): void {
    for (let s = 0; s < this.shards.length; s++) this.verifyShard(s);
  }

  close(): void {
    for (const shard of this.open.keys()) this.closeShard(shard);
  }

  private of<T>(
    index: number,
    work: (layout: SampleLayout, buffer: Uint8Array, start: number, end: number) => T,
  ): T {
    const { bytes, offsets, layout, first } = this.shardWith(index);
    const start = offsets[index - first]!;
    const end = offsets[index - first + 1]!;
    const at = bytes.locate(start, end);
    try {
      return work(layout, bytes.buffer, at, at + end - start);
    } catch (error) {
      throw this.damage(error, index);
    }
  }

  private damage(error: unknown, index: number): unknown {
    if (!(error instanceof SampleProblem)) return error;
    const { bytes, first } = this.shardWith(index);
    return corrupt(`${bytes.path}: sample ${index - first}`, error.message);
  }

  private shardWith(index: number): OpenShard {
    const { current } = this;
    if (current && index >= current.first && index < current.end) return current;
    return this.shard(this.shardOf(index));
  }

  private entry(shard: number): MdsShardEntry {
    const entry = this.shards[shard];
    assert(entry, `shard ${shard} out of range`);
    return entry;
  }

  private checkFile(shard: number): void {
    const { raw_data: raw, zip_data: zip } = this.entry(shard);
    if (zip && hasSize(join(this.dir, raw.basename), raw.bytes)) return;
    const { basename, bytes } = zip ?? raw;
    checkFileSize(join(this.dir, basename), bytes);
  }

  private shard(number: number): OpenShard {
    const shard = this.open.get(number) ?? this.openShard(number);
    shard.used = ++this.turn;
    this.current = shard;
    return shard;
  }

  private openShard(number: number): OpenShard {
    const entry = this.shards[number]!;
    const { verify, unpackTo } = this.options;
    const isNew = !this.verified.has(number);
    if (isNew) this.checkFile(number);
    if (this.open.size >= MAX_OPEN_SHARDS) this.closeOldest();
    const { memory } = this;
    const bytes = openShard(this.dir, entry, {
      verifyHash: isNew && verify === 'hash',
      memory,
      unpackTo,
    });
    try {
      const offsets = readOffsets(bytes, entry.samples);
      const first = this.firstSample[number]!;
      const layout = new SampleLayout(columnsOf(entry, bytes.path));
      memory.count(offsets.byteLength);
      this.verified.add(number);
      const shard = { bytes, offsets, layout, first, end: first + entry.samples, used: 0 };
      this.open.set(number, shard);
      return shard;
    } catch (error) {
      bytes.close();
      throw error;
    }
  }

  /** Closes the shard that was not used for longest, unless it is the current one; returns whether there was one. */
  private closeOldest(): boolean {
    let oldest: [number, OpenShard] | undefined;
    for (const each of this.open) {
      if (each[1] !== this.current && (!oldest || each[1].used < oldest[1].used)) oldest = each;
    }
    if (oldest) this.closeShard(oldest[0]);
    return oldest !== undefined;
  }

  private closeShard(number: number): void {
    const shard = this.open.get(number);
    if (!shard) return;
    this.open.delete(number);
    if (this.current === shard) this.current = undefined;
    shard.bytes.close();
    this.memory.count(-shard.offsets.byteLength);
  }
}

/** What the open shards of a reader hold; makes room by closing some. One block that was given back is kept for the next shard. */
class ReaderMemory implements ShardMemory {
  private readonly limitBytes: number;
  private readonly closeOne: () => boolean;
  private heldBytes = 0;
  private spare: Uint8Array | undefined;

  constructor(limitBytes: number, closeOne: () => boolean) {
    this.limitBytes = limitBytes;
    this.closeOne = closeOne;
  }

  take(sizeBytes: number): Uint8Array | undefined {
    if (sizeBytes > this.limitBytes) return undefined;
    this.count(sizeBytes);
    const { spare } = this;
    if (!spare || spare.length < sizeBytes) return new Uint8Array(sizeBytes);
    this.spare = undefined;
    return spare;
  }

  count(sizeBytes: number): void {
    while (this.heldBytes + sizeBytes > this.limitBytes && this.closeOne()) {}
    this.heldBytes += sizeBytes;
  }

  release(bytes: Uint8Array, sizeBytes: number): void {
    this.heldBytes -= sizeBytes;
    if (bytes.length > (this.spare?.length ?? 0)) this.spare = bytes;
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

function corrupt(where: string, problem: string): DabarexError {
  return new DabarexError(
    'shard_corrupt',
    `${where} ${problem}. Copy the shard again or write the data set again.`,
    {
      where,
    },
  );
}
