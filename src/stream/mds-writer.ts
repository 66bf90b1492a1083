/**
 * Writes an MDS data set, to the byte as MosaicML Streaming's MDSWriter does (streaming 0.x, format version 2).
 *
 * A shard is `u32 n | u32 offset[n+1] | header JSON | samples`; a sample is the u32 sizes of its variable columns and
 * then the payloads of all columns in the order of their sorted names. Shards appear whole; index.json, without which
 * nothing reads them, appears last. Of a compressed shard only the compressed file is written. Limit: one shard is held in memory
 * (64 MiB by default).
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert, DabarexError, writeFileAtomic, writeFilePartsAtomic } from '../base/index.ts';
import { COMPRESSIONS, type Compression, compressionOf } from './compression.ts';
import { ENCODING_NAMES, encodingOf } from './encodings.ts';
import { hashBytes, isKnownHash, knownHashes } from './hashes.ts';
import { checkSafe, type MdsColumn, type MdsShardEntry } from './mds-index.ts';
import { compareCodePoints, pythonJson } from './python-text.ts';
import { failValue } from './sample-error.ts';

export interface MdsWriterOptions {
  readonly dir: string;
  /** name -> encoding: `{tokens: 'ndarray:int32'}` */
  readonly columns: Readonly<Record<string, string>>;
  /** a shard is closed before it would exceed this many bytes; default 64 MiB; null for one shard of any size */
  readonly sizeLimit?: number | null;
  /** digests to put into the index; default none, as MosaicML's. `sha256` makes a flipped byte noticeable. */
  readonly hashes?: readonly string[];
  /** `zstd`, `gz`, `bz2`, `br` or `snappy`, with a level as `zstd:7`; default none */
  readonly compression?: string | null;
  /** what `gz` writes as the time of its making, in seconds since 1970; default 0, so that equal data gives equal files */
  readonly gzipTimeSeconds?: number;
}

const MAX_SHARD_BYTES = 2 ** 32 - 1;

/**
 * Writes samples one by one.
 * @example
 * const writer = new MdsWriter({ dir: 'shards', columns: { tokens: 'ndarray:int32' }, hashes: ['sha256'] });
 * writer.write({ tokens: Int32Array.of(1, 2, 3) });
 * writer.finish();
 */
export class MdsWriter {
  private readonly dir: string;
  private readonly columns: readonly MdsColumn[];
  private readonly sizeLimit: number | null;
  private readonly hashes: readonly string[];
  private readonly compression: Compression | null;
  private readonly gzipTimeSeconds: number;
  private readonly header: Buffer;
  private readonly shards: MdsShardEntry[] = [];
  private samples: Uint8Array[] = [];
  private shardBytes: number;
  private numSamples = 0;
  private finished = false;

  /**
   * Creates the folder. A data set that stands there is given up at once: its index.json and shards are removed.
   * @throws config_invalid for an unknown encoding, digest or compression, or a size limit beyond 32-bit offsets; shard_encoding_unsafe
   */
  constructor(options: MdsWriterOptions) {
    const { dir, columns, sizeLimit = 1 << 26, hashes = [], compression = null } = options;
    this.dir = dir;
    this.columns = Object.entries(columns)
      .sort(([a], [b]) => compareCodePoints(a, b))
      .map(([name, encodingName]) => ({ name, encodingName, encoding: knownEncoding(name, encodingName) }));
    this.sizeLimit = sizeLimit;
    this.hashes = [...new Set(hashes)].sort(compareCodePoints);
    checkOptions(this.columns.length, sizeLimit, this.hashes);
    this.compression = compression === null ? null : knownCompression(compression);
    this.gzipTimeSeconds = options.gzipTimeSeconds ?? 0;
    this.header = Buffer.from(pythonJson(this.config(), true), 'latin1');
    this.shardBytes = this.emptyShardBytes();
    mkdirSync(dir, { recursive: true });
    rmSync(join(dir, 'index.json'), { force: true });
    for (const name of readdirSync(dir)) {
      if (/^shard\.\d{5,}\.mds/.test(name)) rmSync(join(dir, name), { force: true });
    }
  }

  /** Adds a sample; what does not fit the current shard starts the next. @throws sample_invalid */
  write(sample: Readonly<Record<string, unknown>>): void {
    this.add(
      this.columns.map(({ name, encoding }) => {
        const value = Object.hasOwn(sample, name) ? sample[name] : undefined;
        return encoding.encode(value, `sample ${this.numSamples}, column "${name}"`);
      }),
    );
  }

  /** As {@link write}, of values that are encoded already, as `MdsReader.readRaw` gives them. @throws sample_invalid */
  writeRaw(sample: Readonly<Record<string, Uint8Array>>): void {
    this.add(
      this.columns.map(({ name, encoding }) => {
        const value = Object.hasOwn(sample, name) ? sample[name] : undefined;
        const where = `sample ${this.numSamples}, column "${name}"`;
        const { sizeBytes } = encoding;
        if (!value) return failValue(where, value, 'the bytes of a value');
        return sizeBytes === null || value.length === sizeBytes
          ? value
          : failValue(where, value, `of ${sizeBytes} bytes`);
      }),
    );
  }

  private add(payloads: readonly Uint8Array[]): void {
    assert(!this.finished, 'write after finish');
    const numSizes = this.columns.filter(({ encoding }) => encoding.sizeBytes === null).length;
    const cost = payloads.reduce((sum, each) => sum + each.byteLength, 4 * numSizes) + 4;
    if (this.sizeLimit !== null && this.sizeLimit < this.shardBytes + cost) this.flush();
    // Before anything is copied: offsets and sizes in a shard have 32 bits.
    if (this.shardBytes + cost > MAX_SHARD_BYTES) {
      throw invalidSample(
        `sample ${this.numSamples}`,
        `has ${cost} bytes, which makes a shard of more than 4 GiB; cut the sample up, or set sizeLimit where it is null`,
      );
    }
    this.samples.push(this.joined(payloads));
    this.shardBytes += cost;
    this.numSamples++;
  }

  /** Writes the last shard and then the index; returns what was written. Nothing may be written afterwards. */
  finish(): { numSamples: number; numShards: number; sizeBytes: number } {
    assert(!this.finished, 'finish twice');
    this.flush();
    this.finished = true;
    writeFileAtomic(join(this.dir, 'index.json'), pythonJson({ shards: this.shards, version: 2 }, true));
    const sizeBytes = this.shards.reduce((sum, shard) => sum + shard.raw_data.bytes, 0);
    return { numSamples: this.numSamples, numShards: this.shards.length, sizeBytes };
  }

  private joined(payloads: readonly Uint8Array[]): Uint8Array {
    const sizes = payloads
      .filter((_, c) => this.columns[c]!.encoding.sizeBytes === null)
      .map((each) => each.byteLength);
    return Buffer.concat([new Uint8Array(Uint32Array.from(sizes).buffer), ...payloads]);
  }

  private flush(): void {
    if (this.samples.length === 0) return;
    const { parts, sizeBytes } = this.shardParts();
    const basename = `shard.${String(this.shards.length).padStart(5, '0')}.mds`;
    const raw = { basename, bytes: sizeBytes, hashes: this.digests(parts) };
    const zip = this.compression ? this.writePacked(basename, parts) : null;
    if (!zip) writeFilePartsAtomic(join(this.dir, basename), parts);
    this.shards.push({ ...this.config(), raw_data: raw, samples: this.samples.length, zip_data: zip });
    this.samples = [];
    this.shardBytes = this.emptyShardBytes();
  }

  private writePacked(rawName: string, parts: readonly Uint8Array[]): MdsShardEntry['zip_data'] {
    const { extension, pack } = this.compression!;
    const packed = pack(Buffer.concat(parts), { gzipTimeSeconds: this.gzipTimeSeconds });
    const basename = `${rawName}.${extension}`;
    writeFileAtomic(join(this.dir, basename), packed);
    return { basename, bytes: packed.length, hashes: this.digests([packed]) };
  }

  private digests(parts: readonly Uint8Array[]): Record<string, string> {
    return Object.fromEntries(this.hashes.map((name) => [name, hashBytes(name, parts)!]));
  }

  private shardParts(): { parts: Uint8Array[]; sizeBytes: number } {
    const n = this.samples.length;
    const table = new Uint32Array(n + 2);
    table[0] = n;
    table[1] = 4 * (n + 2) + this.header.length;
    for (let i = 0; i < n; i++) table[i + 2] = table[i + 1]! + this.samples[i]!.byteLength;
    return { parts: [new Uint8Array(table.buffer), this.header, ...this.samples], sizeBytes: table[n + 1]! };
  }

  private emptyShardBytes(): number {
    return 8 + this.header.length;
  }

  private config(): Omit<MdsShardEntry, 'raw_data' | 'samples' | 'zip_data'> {
    return {
      column_encodings: this.columns.map((each) => each.encodingName),
      column_names: this.columns.map((each) => each.name),
      column_sizes: this.columns.map((each) => each.encoding.sizeBytes),
      compression: this.compression?.spec ?? null,
      format: 'mds',
      hashes: [...this.hashes],
      size_limit: this.sizeLimit,
      version: 2,
    };
  }
}

/** True where `dir` holds a finished data set (its shards are not looked at). */
export function isMdsDataset(dir: string): boolean {
  return existsSync(join(dir, 'index.json'));
}

function knownEncoding(name: string, encodingName: string) {
  const encoding = encodingOf(encodingName);
  if (encoding) return encoding;
  checkSafe(name, encodingName, 'MDS writer');
  throw new DabarexError(
    'config_invalid',
    `MDS column "${name}": encoding "${encodingName}" is not supported. Use one of ${ENCODING_NAMES}.`,
    { name, encodingName },
  );
}

function knownCompression(spec: string): Compression {
  const compression = compressionOf(spec);
  if (compression) return compression;
  throw new DabarexError(
    'config_invalid',
    `MDS writer: there is no compression "${spec}". Use one of ${COMPRESSIONS.join(', ')}, with a level perhaps (zstd:7).`,
    { compression: spec },
  );
}

function checkOptions(numColumns: number, sizeLimit: number | null, hashes: readonly string[]): void {
  const unknown = hashes.find((name) => !isKnownHash(name));
  const problem =
    numColumns === 0
      ? 'no columns'
      : unknown !== undefined
        ? `digest "${unknown}" is not known; use one of ${knownHashes().join(', ')}`
        : sizeLimit !== null && !(Number.isSafeInteger(sizeLimit) && sizeLimit > 0 && sizeLimit < 2 ** 32)
          ? `sizeLimit ${sizeLimit} is not in 1..2^32-1 bytes`
          : undefined;
  if (problem) throw new DabarexError('config_invalid', `MDS writer: ${problem}.`);
}

function invalidSample(where: string, problem: string): DabarexError {
  return new DabarexError('sample_invalid', `${where} ${problem}.`, { where });
}
