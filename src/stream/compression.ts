/**
 * The compressions of MDS shards: `zstd`, `gz`, `bz2`, `br`, `snappy` (the raw block format), with a level as `name:level`. Levels and
 * defaults are MosaicML's. Unpacked output is bounded by the size the index states before memory is taken for it.
 *
 * How far packed bytes equal those of Python's libraries (what is unpacked always does):
 * - `bz2`, `snappy`: always. `gz`: for levels 1-9 (pako is zlib without the changes of Node's own zlib, and some five times slower), given the same
 *   time in the header; level 0 cuts its blocks elsewhere.
 * - `zstd`: where the version of the library decides alike. Here it is 1.5.7; 1.5.4 gives other bytes for most data from level 7 on, and for some at
 *   level 3.
 * - `br`: equal for levels 0, 1, 11 and most data at others, which also depend on the version.
 */
import { createRequire } from 'node:module';
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync } from 'node:zlib';
import { DabarexError } from '../base/index.ts';
import { gzipAsPython } from './gzip.ts';
import { bzip2Compress, bzip2Decompress, CodecError, zstdCompress, zstdDecompress } from './wasm-codecs.ts';
import { zstdFrame } from './zstd-frame.ts';

export interface PackOptions {
  /** what `gz` writes as the time of its making, in seconds since 1970; default 0, so that equal data gives equal files */
  readonly gzipTimeSeconds?: number;
}

/** A compression with its level. */
export interface Compression {
  /** as in the index: `zstd` or `zstd:7` */
  readonly spec: string;
  /** what follows the name of a shard: `zstd` */
  readonly extension: string;
  /** @throws config_invalid for input the library cannot hold */
  pack(bytes: Uint8Array, options?: PackOptions): Uint8Array;
}

interface Algorithm {
  /** lowest, highest and default level; null where there are no levels */
  readonly levels: readonly [number, number, number] | null;
  pack(bytes: Uint8Array, level: number, options: PackOptions): Uint8Array;
  /** At most `limitBytes`. @throws any Error where the bytes are damaged or give more */
  unpack(packed: Uint8Array, limitBytes: number): Uint8Array;
}

const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  zstd: { levels: [1, 22, 3], pack: zstdCompress, unpack: unpackZstd },
  gz: {
    levels: [0, 9, 9],
    pack: (bytes, level, { gzipTimeSeconds = 0 }) => gzipAsPython(bytes, level, gzipTimeSeconds),
    unpack: (packed, limitBytes) => gunzipSync(packed, { maxOutputLength: Math.max(1, limitBytes) }),
  },
  bz2: { levels: [1, 9, 9], pack: bzip2Compress, unpack: bzip2Decompress },
  br: {
    levels: [0, 11, 11],
    pack: (bytes, level) =>
      brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: level } }),
    unpack: (packed, limitBytes) =>
      brotliDecompressSync(packed, { maxOutputLength: Math.max(1, limitBytes) }),
  },
  snappy: { levels: null, pack: (bytes) => snappy().compressSync(bytes), unpack: unpackSnappy },
};

/** `zstd`, `gz`, ... */
export const COMPRESSIONS: readonly string[] = Object.keys(ALGORITHMS);

/** The compression of a spec such as `zstd` or `gz:6`; undefined where there is none of that name and level. */
export function compressionOf(spec: string): Compression | undefined {
  const found = parse(spec);
  if (!found) return undefined;
  const { name, level, algorithm } = found;
  return {
    spec,
    extension: name,
    pack: (bytes, options = {}) => {
      try {
        return plain(algorithm.pack(bytes, level, options));
      } catch (error) {
        if (!(error instanceof CodecError)) throw error;
        const message = `${bytes.length} bytes cannot be compressed with ${spec}: ${error.message}. Choose a smaller shard size.`;
        throw new DabarexError('config_invalid', message, { compression: spec }, { cause: error });
      }
    },
  };
}

/**
 * What was packed with `spec`: exactly `sizeBytes`, in memory of its own.
 * @param where the file, for errors
 * @throws shard_compression_unsupported, shard_corrupt
 */
export function unpack(spec: string, packed: Uint8Array, sizeBytes: number, where: string): Uint8Array {
  const found = parse(spec);
  if (!found) {
    throw new DabarexError(
      'shard_compression_unsupported',
      `${where} is compressed with "${spec}"; ${COMPRESSIONS.join(', ')} can be read. Write the data set with one of them.`,
      { path: where, compression: spec },
    );
  }
  let bytes: Uint8Array;
  try {
    bytes = plain(found.algorithm.unpack(packed, sizeBytes));
  } catch (error) {
    throw corrupt(where, `cannot be unpacked (${(error as Error).message})`, error);
  }
  if (bytes.length !== sizeBytes) throw corrupt(where, `unpacks to ${bytes.length} bytes, not ${sizeBytes}`);
  return bytes;
}

function parse(spec: string) {
  const [name = '', level, ...rest] = spec.split(':');
  const algorithm = Object.hasOwn(ALGORITHMS, name) ? ALGORITHMS[name] : undefined;
  if (!algorithm || rest.length > 0) return undefined;
  if (level === undefined) return { name, algorithm, level: algorithm.levels?.[2] ?? 0 };
  const [low, high] = algorithm.levels ?? [1, 0];
  const fits = /^\d{1,2}$/.test(level) && Number(level) >= low && Number(level) <= high;
  return fits ? { name, algorithm, level: Number(level) } : undefined;
}

/** A frame names its size, so that one that lies is refused before memory is taken. */
function unpackZstd(packed: Uint8Array, limitBytes: number): Uint8Array {
  const stated = zstdFrame(packed)?.contentBytes;
  if (stated !== undefined && stated > limitBytes) throw new CodecError(`it states ${stated} bytes`);
  return zstdDecompress(packed, limitBytes);
}

/** The library takes as much memory as the head of the block states, so the head is read first. */
function unpackSnappy(packed: Uint8Array, limitBytes: number): Uint8Array {
  const stated = varint(packed);
  if (stated !== limitBytes) throw new CodecError(`it states ${stated} bytes`);
  return snappy().uncompressSync(packed, { asBuffer: true }) as Uint8Array;
}

function varint(bytes: Uint8Array): number | undefined {
  let value = 0;
  for (let i = 0; i < 5 && i < bytes.length; i++) {
    value += (bytes[i]! & 127) * 2 ** (7 * i);
    if (bytes[i]! < 128) return value;
  }
  return undefined;
}

/** Loaded when it is first used: a native library. */
function snappy(): typeof import('snappy') {
  return createRequire(import.meta.url)('snappy') as typeof import('snappy');
}

/** No Buffer, whose `slice` would share memory. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
}

function corrupt(path: string, problem: string, cause?: unknown): DabarexError {
  const message = `${path} ${problem}. Copy it again or write the data set again.`;
  return new DabarexError('shard_corrupt', message, { path }, { cause });
}
