/**
 * Encodings of MDS columns: how one value becomes bytes and comes back. Little-endian; hosts are little-endian too.
 * Values: `bytes` Uint8Array; `str`, `str_decimal` string; integers number or bigint (read as a number where it is
 * exact); floats number; `json` anything JSON holds; `ndarray` see ndarray.ts.
 * Left out: pickle (unsafe), images.
 */
import { DabarexError, fromFloat16Bits, toFloat16Bits } from '../base/index.ts';
import { decodeNdarray, encodeNdarray, ndarraySize, parseNdarray } from './ndarray.ts';
import { pythonFloat, pythonJson } from './python-text.ts';

/** One column's codec. */
export interface Encoding {
  /** bytes of every value, or null where values differ in size */
  readonly sizeBytes: number | null;
  /** @throws sample_invalid; `where` names the sample and column in the message */
  encode(value: unknown, where: string): Uint8Array;
  /** undefined where the bytes are no value of this encoding. The result does not share memory with `bytes`. */
  decode(bytes: Uint8Array): unknown;
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
    return integerEncoding(name, INTEGERS[name]!.bits, INTEGERS[name]!.signed);
  if (Object.hasOwn(OTHERS, name)) return OTHERS[name];
  const ndarray = parseNdarray(name);
  if (!ndarray) return undefined;
  return {
    sizeBytes: ndarraySize(ndarray),
    encode: (value, where) => encodeNdarray(value, ndarray, where),
    decode: (bytes) => {
      const array = decodeNdarray(bytes, ndarray);
      return array && array.shape.length === 1 && array.dtype !== 'float16' ? array.data : array;
    },
  };
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const OTHERS: Record<string, Encoding> = {
  bytes: {
    sizeBytes: null,
    encode: (value, where) => (value instanceof Uint8Array ? value : fail(where, value, 'a Uint8Array')),
    decode: (bytes) => bytes.slice(),
  },
  str: textEncoding(
    'a string',
    (value) => (typeof value === 'string' ? value : undefined),
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
    (value) => (typeof value === 'string' && DECIMAL.test(value) ? value : undefined),
    (text) => (DECIMAL.test(text) ? text : undefined),
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
        return JSON.parse(text);
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

function textEncoding(
  wanted: string,
  write: (value: unknown) => string | undefined,
  read: (text: string) => unknown,
): Encoding {
  return {
    sizeBytes: null,
    encode: (value, where) => {
      const text = write(value);
      return text === undefined ? fail(where, value, wanted) : Buffer.from(text, 'utf8');
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
        fail(where, value, `of type ${name}`);
      const whole = new DataView(new ArrayBuffer(8));
      whole.setBigInt64(0, BigInt.asIntN(64, BigInt(value as number | bigint)), true);
      return new Uint8Array(whole.buffer, 0, sizeBytes);
    },
    decode: (bytes) => {
      if (bytes.length !== sizeBytes) return undefined;
      const whole = new Uint8Array(8);
      whole.set(bytes);
      const word = new DataView(whole.buffer).getBigUint64(0, true);
      return exactNumber(signed ? BigInt.asIntN(bits, word) : word);
    },
  };
}

function floatEncoding(
  sizeBytes: number,
  write: (view: DataView, value: number) => void,
  read: (view: DataView) => number,
): Encoding {
  return {
    sizeBytes,
    encode: (value, where) => {
      if (typeof value !== 'number') return fail(where, value, 'a number');
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

function fail(where: string, value: unknown, wanted: string): never {
  throw new DabarexError('sample_invalid', `${where} is ${describe(value)}, not ${wanted}. Give it one.`, {
    where,
  });
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  const shown = typeof value === 'bigint' ? `${value}` : (JSON.stringify(value) ?? String(value));
  return `${typeof value} ${shown.length > 60 ? `${shown.slice(0, 60)}…` : shown}`;
}
