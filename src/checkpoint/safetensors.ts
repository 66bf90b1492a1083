/** Safetensors files: read tensor by tensor without loading the file, written part by part and renamed into place. */
import {
  assert,
  DabarexError,
  float32ToBfloat16,
  float32ToFloat16,
  writeFilePartsAtomic,
} from '../base/index.ts';
import { type BlockKernels, Checksum, createKernels } from '../tensor/index.ts';
import { ByteFile } from './byte-file.ts';
import {
  dtypeBits,
  invalid,
  MAX_HEADER_BYTES,
  parseHeader,
  type TensorInfo,
  tensorBytes,
} from './safetensors-header.ts';
import { PART_BYTES } from './verify.ts';

/** Values read at a time where they are made of other types. */
const READ_AT_ONCE = 1 << 20;

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
  /** Values `start` to `end` (exclusive) of the tensor laid out in a row, as {@link read} gives them. @throws as read */
  readRange(name: string, start: number, end: number): Float32Array<ArrayBuffer>;
  /** The bytes as they are stored, of all values or some. @throws checkpoint_mismatch without such a tensor, or where a value is no whole bytes */
  readBytes(name: string, start?: number, end?: number): Uint8Array<ArrayBuffer>;
  close(): void;
}

/**
 * @param kernels turn 16-bit floats into values; default: the best of this machine
 * @throws file_missing, safetensors_invalid
 */
export function readSafetensors(path: string, kernels: BlockKernels = createKernels()): SafetensorsFile {
  const file = new ByteFile(path, invalid);
  try {
    const { sizeBytes } = file;
    if (sizeBytes < 8) throw invalid(path, `it has only ${sizeBytes} bytes`);
    const headerBytes = Buffer.from(file.read(0, 8)).readBigUInt64LE();
    if (headerBytes > MAX_HEADER_BYTES || Number(headerBytes) + 8 > sizeBytes) {
      throw invalid(path, `its header is said to have ${headerBytes} bytes in a file of ${sizeBytes}`);
    }
    const dataStart = 8 + Number(headerBytes);
    const header = parseHeader(file.read(8, Number(headerBytes)), dataStart, sizeBytes, path);
    return new OpenSafetensors(file, header, kernels);
  } catch (error) {
    file.close();
    throw error;
  }
}

class OpenSafetensors implements SafetensorsFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  private readonly file: ByteFile;
  private readonly kernels: BlockKernels;

  constructor(
    file: ByteFile,
    { metadata, tensors }: { metadata: Record<string, string>; tensors: Map<string, TensorInfo> },
    kernels: BlockKernels,
  ) {
    this.path = file.path;
    this.metadata = metadata;
    this.tensors = tensors;
    this.file = file;
    this.kernels = kernels;
  }

  read(name: string): Float32Array<ArrayBuffer> {
    return this.readRange(name, 0, lengthOf(this.find(name)));
  }

  readData(name: string): TensorData {
    const Type = ARRAYS[this.arrayDtype(name)];
    return new Type(this.readBytes(name).buffer);
  }

  readRange(name: string, start: number, end: number): Float32Array<ArrayBuffer> {
    const dtype = this.arrayDtype(name);
    const { byteOffset } = this.placeOf(name, start, end);
    const values = new Float32Array(end - start);
    const width = ARRAYS[dtype].BYTES_PER_ELEMENT;
    const part = new Uint8Array(Math.min(values.length, READ_AT_ONCE) * width);
    for (let first = 0; first < values.length; first += READ_AT_ONCE) {
      const target = values.subarray(first, first + READ_AT_ONCE);
      const stored = part.subarray(0, target.length * width);
      this.file.readInto(stored, byteOffset + first * width);
      if (dtype === 'F32' || dtype === 'F16' || dtype === 'BF16') {
        this.kernels.dequantizeBlocks(target, stored, dtype);
      } else
        target.set(
          Array.from(new ARRAYS[dtype](stored.slice().buffer) as ArrayLike<number | bigint>, Number),
        );
    }
    return values;
  }

  readBytes(name: string, start?: number, end?: number): Uint8Array<ArrayBuffer> {
    const { byteOffset, sizeBytes } = this.placeOf(name, start ?? 0, end ?? lengthOf(this.find(name)));
    return this.file.read(byteOffset, sizeBytes);
  }

  close(): void {
    this.file.close();
  }

  private find(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (!info) throw mismatch(this.path, `has no tensor "${name}"`);
    return info;
  }

  private arrayDtype(name: string): ArrayDtype {
    const { dtype } = this.find(name);
    if (!Object.hasOwn(ARRAYS, dtype)) throw mismatch(this.path, `holds "${name}" as ${dtype}`);
    return dtype as ArrayDtype;
  }

  private placeOf(name: string, start: number, end: number): { byteOffset: number; sizeBytes: number } {
    const { dtype, shape, byteOffset, sizeBytes } = this.find(name);
    const length = lengthOf({ shape });
    if (start === 0 && end === length) return { byteOffset, sizeBytes };
    if (!(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= length)) {
      throw new RangeError(`values ${start} to ${end} of "${name}", which has ${length}`);
    }
    const bits = dtypeBits(dtype);
    if (bits % 8 !== 0) throw mismatch(this.path, `holds "${name}" as ${dtype}`);
    return { byteOffset: byteOffset + (start * bits) / 8, sizeBytes: ((end - start) * bits) / 8 };
  }
}

function lengthOf({ shape }: Pick<TensorInfo, 'shape'>): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** What to write. `data` may be a function, called when its turn comes, so that only one tensor, or a part of it, need be in memory. */
export interface TensorToWrite {
  readonly name: string;
  readonly dtype: ArrayDtype;
  readonly shape: readonly number[];
  /** row-major, whole or in parts; a Float32Array for F16 and BF16 is rounded to nearest even */
  readonly data: TensorData | (() => TensorData | Iterable<TensorData>);
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
    const given = typeof data === 'function' ? data() : data;
    let left = tensorBytes(dtype, shape);
    for (const part of ArrayBuffer.isView(given) ? [given] : given) {
      const stored = toStored(part, dtype);
      assert(stored instanceof ARRAYS[dtype], `data of "${name}" is ${dtype}`);
      left -= stored.byteLength;
      assert(left >= 0, `data of "${name}" fits [${shape}]`);
      yield new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
    }
    assert(left === 0, `data of "${name}" fills [${shape}]`);
  }
}

function toStored(data: TensorData, dtype: ArrayDtype): TensorData {
  if (!(data instanceof Float32Array)) return data;
  if (dtype === 'BF16') return float32ToBfloat16(data);
  return dtype === 'F16' ? float32ToFloat16(data) : data;
}

function mismatch(path: string, problem: string): DabarexError {
  return new DabarexError(
    'checkpoint_mismatch',
    `${path} ${problem}: it belongs to another model. Use a checkpoint of this model's recipe.`,
    { path, problem },
  );
}
