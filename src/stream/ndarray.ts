/**
 * The `ndarray[:dtype[:d0,d1..]]` encoding of MDS. What the column does not fix stands before the values: one byte for
 * the dtype; one byte (number of dimensions << 2 | w) and the dimensions in 2^w bytes each for the shape.
 * Values are in C order, little-endian. Zero-dimensional and empty arrays have no form.
 */
import { DabarexError } from '../base/index.ts';

export type NdData =
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

/** An array with its shape. float16 values are bit patterns in a Uint16Array. */
export interface NdArray {
  readonly dtype: NdDtype;
  readonly shape: readonly number[];
  readonly data: NdData;
}

const DTYPES = {
  uint8: { code: 8, make: Uint8Array },
  int8: { code: 9, make: Int8Array },
  uint16: { code: 16, make: Uint16Array },
  int16: { code: 17, make: Int16Array },
  float16: { code: 18, make: Uint16Array },
  uint32: { code: 32, make: Uint32Array },
  int32: { code: 33, make: Int32Array },
  float32: { code: 34, make: Float32Array },
  uint64: { code: 64, make: BigUint64Array },
  int64: { code: 65, make: BigInt64Array },
  float64: { code: 66, make: Float64Array },
} as const;

export type NdDtype = keyof typeof DTYPES;

const DTYPE_OF_CODE: ReadonlyMap<number, NdDtype> = new Map(
  (Object.keys(DTYPES) as NdDtype[]).map((name) => [DTYPES[name].code, name]),
);

/** What a column fixes: `ndarray` nothing, `ndarray:int32` the dtype, `ndarray:int32:2,3` the shape too. */
export interface NdColumn {
  readonly dtype: NdDtype | null;
  readonly shape: readonly number[] | null;
}

/** The parsed encoding, or undefined where `encoding` is not a form of `ndarray`. */
export function parseNdarray(encoding: string): NdColumn | undefined {
  const [name, dtype, dims, ...rest] = encoding.split(':');
  if (name !== 'ndarray' || rest.length > 0) return undefined;
  if (dtype !== undefined && !Object.hasOwn(DTYPES, dtype)) return undefined;
  const shape = dims?.split(',').map((each) => (/^\d+$/.test(each) ? Number(each) : 0)) ?? null;
  if (shape?.some((each) => !Number.isSafeInteger(each) || each < 1)) return undefined;
  return { dtype: (dtype as NdDtype | undefined) ?? null, shape };
}

/** Bytes of every value of the column, or null where the shape may differ. */
export function ndarraySize(column: NdColumn): number | null {
  if (!column.dtype || !column.shape) return null;
  return column.shape.reduce((a, b) => a * b, 1) * DTYPES[column.dtype].make.BYTES_PER_ELEMENT;
}

/** @throws sample_invalid where the value is no array, is empty, or has another dtype or shape than the column */
export function encodeNdarray(value: unknown, column: NdColumn, where: string): Uint8Array {
  const array = ArrayBuffer.isView(value) ? viewAsNdarray(value) : (value as NdArray | null);
  if (!array || !Array.isArray(array.shape) || !ArrayBuffer.isView(array.data)) {
    throw invalid(where, 'is no typed array and no {dtype, shape, data}');
  }
  const { dtype, shape, data } = array;
  if (!Object.hasOwn(DTYPES, dtype) || !(data instanceof DTYPES[dtype].make)) {
    throw invalid(where, `has data that is not ${dtype}`);
  }
  if (column.dtype && dtype !== column.dtype) throw invalid(where, `is ${dtype}, not ${column.dtype}`);
  if (shape.length === 0 || shape.length > 63 || data.length === 0)
    throw invalid(where, 'is empty or scalar');
  if (!shape.every(Number.isSafeInteger) || shape.reduce((a, b) => a * b, 1) !== data.length) {
    throw invalid(where, `has ${data.length} values for shape [${shape}]`);
  }
  if (column.shape && String(shape) !== String(column.shape)) {
    throw invalid(where, `has shape [${shape}], not [${column.shape}]`);
  }
  const head: number[] = column.dtype ? [] : [DTYPES[dtype].code];
  if (!column.shape) head.push(...shapeBytes(shape));
  const bytes = new Uint8Array(head.length + data.byteLength);
  bytes.set(head);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), head.length);
  return bytes;
}

/**
 * Where the values of an array stand whose encoded form is `buffer[start..end]`; -1 where that is no array of the column, or one of another
 * dtype than `target`.
 */
export function findValues(
  buffer: Uint8Array,
  start: number,
  end: number,
  column: NdColumn,
  target: NdData,
): number {
  let at = start;
  const dtype = column.dtype ?? (at < end ? DTYPE_OF_CODE.get(buffer[at++]!) : undefined);
  if (!dtype || !(target instanceof DTYPES[dtype].make)) return -1;
  let count = 1;
  if (column.shape) {
    for (const dim of column.shape) count *= dim;
  } else {
    const mark = at < end ? buffer[at++]! : 0;
    const width = 1 << (mark & 3);
    const numDims = mark >> 2;
    if (numDims === 0 || at + numDims * width > end) return -1;
    for (let d = 0; d < numDims; d++) {
      let dim = 0;
      for (let i = width - 1; i >= 0; i--) dim = dim * 256 + buffer[at + i]!;
      at += width;
      count *= dim;
    }
  }
  return end - at === count * target.BYTES_PER_ELEMENT ? at : -1;
}

/** Reads a value into memory of its own; undefined where the bytes do not form one. */
export function decodeNdarray(bytes: Uint8Array, column: NdColumn): NdArray | undefined {
  let at = 0;
  let { dtype, shape } = column;
  if (!dtype) {
    dtype = DTYPE_OF_CODE.get(bytes[at++]!) ?? null;
  }
  if (!dtype) return undefined;
  if (!shape) {
    const mark = bytes[at++];
    if (mark === undefined) return undefined;
    const width = 1 << (mark & 3);
    const numDims = mark >> 2;
    if (numDims === 0 || at + numDims * width > bytes.length) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    shape = Array.from({ length: numDims }, (_, d) => readDim(view, at + d * width, width));
    at += numDims * width;
  }
  const { make } = DTYPES[dtype];
  const length = shape.reduce((a, b) => a * b, 1);
  if (bytes.length - at !== length * make.BYTES_PER_ELEMENT) return undefined;
  const data = new make(bytes.slice(at).buffer);
  return { dtype, shape, data };
}

function viewAsNdarray(view: ArrayBufferView): NdArray | null {
  const dtype = (Object.keys(DTYPES) as NdDtype[]).find(
    (name) => name !== 'float16' && view instanceof DTYPES[name].make,
  );
  return dtype ? { dtype, shape: [(view as NdData).length], data: view as NdData } : null;
}

function shapeBytes(shape: readonly number[]): number[] {
  const largest = Math.max(...shape);
  const power = largest < 2 ** 8 ? 0 : largest < 2 ** 16 ? 1 : largest < 2 ** 32 ? 2 : 3;
  const bytes = [(shape.length << 2) | power];
  for (const dim of shape) {
    for (let i = 0; i < 1 << power; i++) bytes.push(Math.floor(dim / 2 ** (8 * i)) % 256);
  }
  return bytes;
}

function readDim(view: DataView, at: number, width: number): number {
  if (width === 1) return view.getUint8(at);
  if (width === 2) return view.getUint16(at, true);
  if (width === 4) return view.getUint32(at, true);
  return Number(view.getBigUint64(at, true));
}

function invalid(where: string, problem: string): DabarexError {
  return new DabarexError('sample_invalid', `${where} ${problem}. Give the column a value that fits.`, {
    where,
  });
}
