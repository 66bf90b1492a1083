/** Safetensors files: read tensor by tensor without loading the file, written part by part and renamed into place. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  assert,
  bfloat16ToFloat32,
  DabarexError,
  float32ToBfloat16,
  fromFloat16Bits,
  toFloat16Bits,
  writeFilePartsAtomic,
} from '../base/index.ts';
import { Checksum } from '../tensor/index.ts';
import {
  dtypeBits,
  invalid,
  MAX_HEADER_BYTES,
  parseHeader,
  type SafetensorsDtype,
  type TensorInfo,
  tensorBytes,
} from './safetensors-header.ts';
import { PART_BYTES } from './verify.ts';

const ARRAYS = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  U16: Uint16Array,
  I16: Int16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  U32: Uint32Array,
  I32: Int32Array,
  F32: Float32Array,
  U64: BigUint64Array,
  I64: BigInt64Array,
  F64: Float64Array,
} as const;

/** dtypes with a typed array; F16 and BF16 are bit patterns in a Uint16Array. */
export type ArrayDtype = keyof typeof ARRAYS;
export type TensorData =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | BigUint64Array
  | BigInt64Array
  | Float64Array;

/** An open file. Its header is checked; its data is read when asked for. Close it to give the file handle back. */
export interface SafetensorsFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The values as float32; F16, BF16 and narrow integers exactly, F64 rounded. @throws checkpoint_mismatch without such a tensor */
  read(name: string): Float32Array;
  /** The values as they are stored. @throws checkpoint_mismatch without such a tensor or with a dtype without typed array */
  readData(name: string): TensorData;
  close(): void;
}

/** @throws file_missing, safetensors_invalid */
export function readSafetensors(path: string): SafetensorsFile {
  let handle: number;
  try {
    handle = openSync(path, 'r');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new DabarexError(
      'file_missing',
      `${path} cannot be opened (${code}). Check the path.`,
      { path },
      { cause },
    );
  }
  try {
    const fileBytes = fstatSync(handle).size;
    if (fileBytes < 8) throw invalid(path, `it has only ${fileBytes} bytes`);
    const headerBytes = Buffer.from(readFully(handle, 0, 8, path)).readBigUInt64LE();
    if (headerBytes > MAX_HEADER_BYTES || Number(headerBytes) + 8 > fileBytes) {
      throw invalid(path, `its header is said to have ${headerBytes} bytes in a file of ${fileBytes}`);
    }
    const dataStart = 8 + Number(headerBytes);
    const header = parseHeader(readFully(handle, 8, Number(headerBytes), path), dataStart, fileBytes, path);
    return openFile(path, handle, header);
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

function openFile(
  path: string,
  handle: number,
  { metadata, tensors }: { metadata: Record<string, string>; tensors: Map<string, TensorInfo> },
): SafetensorsFile {
  const readData = (name: string): TensorData => {
    const info = tensors.get(name);
    if (!info) throw mismatch(path, `has no tensor "${name}"`);
    if (!Object.hasOwn(ARRAYS, info.dtype)) throw mismatch(path, `holds "${name}" as ${info.dtype}`);
    const bytes = readFully(handle, info.byteOffset, info.sizeBytes, path);
    return new ARRAYS[info.dtype as ArrayDtype](bytes.buffer);
  };
  const read = (name: string): Float32Array => toFloat32(readData(name), tensors.get(name)!.dtype);
  return { path, metadata, tensors, read, readData, close: () => closeSync(handle) };
}

/** What to write. `data` may be a function, called when its turn comes, so that only one tensor need be in memory. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: ArrayDtype;
  readonly shape: readonly number[];
  /** row-major; a Float32Array for F16 and BF16 is rounded to nearest even */
  readonly data: TensorData | (() => TensorData);
}

/**
 * Writes the file whole or not at all. The order is that of the reference writer: wide dtypes first, then names.
 * @returns the checksum of the file
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = { format: 'pt' },
): string {
  const sorted = [...tensors].sort(
    (a, b) => dtypeBits(b.dtype) - dtypeBits(a.dtype) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const names = new Set(sorted.map((each) => each.name));
  assert(names.size === sorted.length && !names.has('__metadata__'), 'tensor names are distinct');
  let end = 0;
  const entries: [string, unknown][] = [['__metadata__', metadata]];
  for (const { name, dtype, shape } of sorted) {
    const start = end;
    end += tensorBytes(dtype, shape);
    entries.push([name, { dtype, shape, data_offsets: [start, end] }]);
  }
  // fromEntries defines own properties, so a tensor named "__proto__" is one like any other.
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)), 'utf8');
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, 0x20);
  assert(header.length - 8 <= MAX_HEADER_BYTES, 'header fits its limit');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  const checksum = new Checksum();
  writeFilePartsAtomic(path, summed(parts(header, sorted), checksum));
  return checksum.digest();
}

/** The same bytes in parts that fit the caches, each added to the checksum before it is written. */
function* summed(parts: Iterable<Uint8Array>, checksum: Checksum): Generator<Uint8Array> {
  for (const part of parts) {
    for (let start = 0; start < part.byteLength; start += PART_BYTES) {
      const piece = part.subarray(start, start + PART_BYTES);
      checksum.update(piece);
      yield piece;
    }
  }
}

function* parts(header: Uint8Array, tensors: readonly TensorToWrite[]): Generator<Uint8Array> {
  yield header;
  for (const { name, dtype, shape, data } of tensors) {
    const stored = toStored(typeof data === 'function' ? data() : data, dtype);
    assert(stored instanceof ARRAYS[dtype], `data of "${name}" is ${dtype}`);
    assert(stored.byteLength === tensorBytes(dtype, shape), `data of "${name}" fills [${shape}]`);
    yield new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  }
}

function toStored(data: TensorData, dtype: ArrayDtype): TensorData {
  if (!(data instanceof Float32Array)) return data;
  if (dtype === 'BF16') return float32ToBfloat16(data);
  return dtype === 'F16' ? Uint16Array.from(data, toFloat16Bits) : data;
}

function toFloat32(data: TensorData, dtype: SafetensorsDtype): Float32Array {
  if (data instanceof Float32Array) return data;
  if (dtype === 'BF16') return bfloat16ToFloat32(data as Uint16Array);
  if (dtype === 'F16') return Float32Array.from(data as Uint16Array, fromFloat16Bits);
  return Float32Array.from(data as Uint8Array, Number);
}

function readFully(handle: number, start: number, length: number, path: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(handle, bytes, filled, Math.min(length - filled, 1 << 30), start + filled);
    if (count === 0) throw invalid(path, `it ends at byte ${start + filled} while it is read`);
    filled += count;
  }
  return bytes;
}

function mismatch(path: string, problem: string): DabarexError {
  return new DabarexError(
    'checkpoint_mismatch',
    `${path} ${problem}: it belongs to another model. Use a checkpoint of this model's recipe.`,
    { path, problem },
  );
}
