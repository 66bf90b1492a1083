/**
 * Encodings of MDS columns: how one value becomes bytes and comes back. Little-endian; hosts are little-endian too.
 * Values: `bytes` Uint8Array; `str`, `str_decimal` string; integers number or bigint (read as a number where it is
 * exact); floats number; `json` anything JSON holds; `ndarray` see ndarray.ts; images see images.ts. A Uint8Array given for any
 * column but an `ndarray` is written as it is, as Python's `bytes` are.
 * Left out: `pkl`, since unpickling executes code. Limit: numbers of JSON have no type here, so Python's 1.0 is written again as 1.
 */
import { fromFloat16Bits, toFloat16Bits } from '../base/index.ts';
import { imageEncoding } from './images.ts';
import { decodeNdarray, encodeNdarray, type NdColumn, ndarraySize, parseNdarray } from './ndarray.ts';
import { parsePythonJson, pythonFloat, pythonJson } from './python-text.ts';
import { failValue } from './sample-error.ts';

/** One column's codec. */
export interface Encoding {
  /** bytes of every value, or null where values differ in size */
  readonly sizeBytes: number | null;
  /** @throws sample_invalid; `where` names the sample and column in the message */
  encode(value: unknown, where: string): Uint8Array;
  /** undefined where the bytes are no value of this encoding. The result does not share memory with `bytes`. */
  decode(bytes: Uint8Array): unknown;
  /** of an `ndarray` column: what the column fixes */
  readonly ndarray?: NdColumn;
}

/** All names of encodings, for messages. */
export const ENCODING_NAMES =
  'bytes, str, int, uint8..uint64, int8..int64, float16..float64, str_int, str_float, str_decimal, json, ' +
  'ndarray[:dtype[:dims]], jpeg, png, pil, jpeg_array, list[jpeg|png|pil]';

/** Why an encoding that MosaicML has is refused here; undefined for one that is not. */
export function unsafeEncoding(name: string): string | undefined {
  return name === 'pkl'
    ? 'is pickled, and reading a pickle executes whatever code its writer put into it'
    : undefined;
}

const INTEGERS: Record<string, { bits: number; signed: boolean }> = {
  int: { bits: 64, signed: true },
  uint8: { bits: 8, signed: false },
  uint16: { bits: 16, signed: false },
  uint32: { bits: 32, signed: false },
  uint64: { bits: 64, signed: false },
  int8: { bits: 8, signed: true },
  int16: { bits: 16, signed: true },
  int32: { bits: 32, signed: true },
  int64: { bits: 64, signed: true },
};

/** The codec of an encoding's name, or undefined where it is not supported. */
export function encodingOf(name: string): Encoding | undefined {
  if (Object.hasOwn(INTEGERS, name))
    return orBytes(integerEncoding(name, INTEGERS[name]!.bits, INTEGERS[name]!.signed));
  if (Object.hasOwn(OTHERS, name)) return orBytes(OTHERS[name]!);
  const image = imageEncoding(name);
  if (image) return orBytes({ sizeBytes: null, ...image });
  const ndarray = parseNdarray(name);
  if (!ndarray) return undefined;
  return {
    sizeBytes: ndarraySize(ndarray),
    ndarray,
    encode: (value, where) => encodeNdarray(value, ndarray, where),
    decode: (bytes) => {
      const array = decodeNdarray(bytes, ndarray);
      return array && array.shape.length === 1 && array.dtype !== 'float16' ? array.data : array;
    },
  };
}

/** MosaicML's writer takes bytes for the bytes of the value, whatever the encoding. */
function orBytes(encoding: Encoding): Encoding {
  const { sizeBytes } = encoding;
  return {
    ...encoding,
    encode: (value, where) => {
      if (!(value instanceof Uint8Array)) return encoding.encode(value, where);
      return sizeBytes === null || value.length === sizeBytes
        ? value
        : failValue(where, value, `of ${sizeBytes} bytes`);
    },
  };
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const OTHERS: Record<string, Encoding> = {
  bytes: {
    sizeBytes: null,
    encode: (value, where) => failValue(where, value, 'a Uint8Array'),
    decode: (bytes) => bytes.slice(),
  },
  str: textEncoding(
    'a string without half surrogate pairs',
    (value) => (typeof value === 'string' && !/\p{Surrogate}/u.test(value) ? value : undefined),
    (text) => text,
  ),
  str_int: textEncoding(
    'an integer',
    (value) => (isInteger(value) ? BigInt(value).toString() : undefined),
    (text) => (/^-?\d+$/.test(text) ? exactNumber(BigInt(text)) : undefined),
  ),
  str_float: textEncoding(
    'a number',
    (value) => (typeof value === 'number' ? pythonFloat(value) : undefined),
    parsePythonFloat,
  ),
  str_decimal: textEncoding(
    'a string of a decimal number',
    (value) => (typeof value === 'string' && isDecimal(value) ? value : undefined),
    (text) => (isDecimal(text) ? text : undefined),
  ),
  json: textEncoding(
    'a value JSON can hold',
    (value) => {
      try {
        return pythonJson(value);
      } catch {
        return undefined;
      }
    },
    (text) => {
      try {
        return parsePythonJson(text);
      } catch {
        return undefined;
      }
    },
  ),
  float16: floatEncoding(
    2,
    (view, value) => view.setUint16(0, toFloat16Bits(value), true),
    (view) => fromFloat16Bits(view.getUint16(0, true)),
  ),
  float32: floatEncoding(
    4,
    (view, value) => view.setFloat32(0, value, true),
    (view) => view.getFloat32(0, true),
  ),
  float64: floatEncoding(
    8,
    (view, value) => view.setFloat64(0, value, true),
    (view) => view.getFloat64(0, true),
  ),
};

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** What `str(Decimal)` of Python may give. */
function isDecimal(text: string): boolean {
  return DECIMAL.test(text) || /^[+-]?(s?NaN\d*|Infinity)$/.test(text);
}

function textEncoding(
  wanted: string,
  write: (value: unknown) => string | undefined,
  read: (text: string) => unknown,
): Encoding {
  return {
    sizeBytes: null,
    encode: (value, where) => {
      const text = write(value);
      return text === undefined ? failValue(where, value, wanted) : Buffer.from(text, 'utf8');
    },
    decode: (bytes) => {
      try {
        return read(UTF8.decode(bytes));
      } catch {
        return undefined;
      }
    },
  };
}

function integerEncoding(name: string, bits: number, signed: boolean): Encoding {
  const sizeBytes = bits / 8;
  const low = signed ? -(2n ** BigInt(bits - 1)) : 0n;
  const high = low + 2n ** BigInt(bits);
  return {
    sizeBytes,
    encode: (value, where) => {
      if (!isInteger(value) || BigInt(value) < low || BigInt(value) >= high)
        failValue(where, value, `of type ${name}`);
      const whole = new DataView(new ArrayBuffer(8));
      whole.setBigInt64(0, BigInt.asIntN(64, BigInt(value as number | bigint)), true);
      return new Uint8Array(whole.buffer, 0, sizeBytes);
    },
    decode: (bytes) => (bytes.length === sizeBytes ? decodeInteger(bytes, bits, signed) : undefined),
  };
}

function decodeInteger(bytes: Uint8Array, bits: number, signed: boolean): number | bigint {
  let low = 0;
  for (let i = Math.min(4, bytes.length) - 1; i >= 0; i--) low = low * 256 + bytes[i]!;
  if (bits < 32) return signed ? (low << (32 - bits)) >> (32 - bits) : low;
  if (bits === 32) return signed ? low | 0 : low;
  const unsignedHigh = bytes[4]! + bytes[5]! * 256 + bytes[6]! * 65_536 + bytes[7]! * 16_777_216;
  const high = signed ? unsignedHigh | 0 : unsignedHigh;
  const value = high * 2 ** 32 + low;
  return Number.isSafeInteger(value) ? value : BigInt(high) * 2n ** 32n + BigInt(low);
}

function floatEncoding(
  sizeBytes: number,
  write: (view: DataView, value: number) => void,
  read: (view: DataView) => number,
): Encoding {
  return {
    sizeBytes,
    encode: (value, where) => {
      if (typeof value !== 'number') return failValue(where, value, 'a number');
      const view = new DataView(new ArrayBuffer(sizeBytes));
      write(view, value);
      return new Uint8Array(view.buffer);
    },
    decode: (bytes) =>
      bytes.length === sizeBytes ? read(new DataView(bytes.buffer, bytes.byteOffset, sizeBytes)) : undefined,
  };
}

function parsePythonFloat(text: string): number | undefined {
  if (text === 'nan') return Number.NaN;
  if (text === 'inf' || text === '-inf')
    return text === 'inf' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  return DECIMAL.test(text) ? Number(text) : undefined;
}

function isInteger(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isSafeInteger(value);
}

function exactNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
