/**
 * Values of GGUF's metadata, each with its type in the file: loaders match types exactly, so nothing is guessed here.
 * u64 and i64 are always bigint; arrays of numbers are typed arrays; lists of strings are kept as bytes until asked for.
 */
import { DabarexError } from '../../base/index.ts';

/** Numbers of the types in a file. */
export const VALUE_TYPES = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
  u64: 10,
  i64: 11,
  f64: 12,
} as const;

export type GgufType = keyof typeof VALUE_TYPES;

export const TYPED_ARRAYS = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
  f64: Float64Array,
} as const;

export type GgufNumberType = keyof typeof TYPED_ARRAYS;

/** An array of strings will do. */
export interface StringList extends Iterable<string> {
  readonly length: number;
  /** undefined beyond the end */
  at(index: number): string | undefined;
}

export type GgufValue =
  | { readonly type: Exclude<GgufNumberType, 'u64' | 'i64'>; readonly value: number }
  | { readonly type: 'u64' | 'i64'; readonly value: bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | GgufArray;

/** `of` bool: bytes of 0 and 1. */
export type GgufArray =
  | { readonly type: 'array'; readonly of: 'string'; readonly value: StringList }
  | { readonly type: 'array'; readonly of: 'bool'; readonly value: Uint8Array }
  | {
      [T in GgufNumberType]: {
        readonly type: 'array';
        readonly of: T;
        readonly value: InstanceType<(typeof TYPED_ARRAYS)[T]>;
      };
    }[GgufNumberType];

export type GgufMetadata = ReadonlyMap<string, GgufValue>;

/** Strings as they stand in a file, in place of 50 bytes of overhead each. */
export class StoredStrings implements StringList {
  readonly length: number;
  private readonly bytes: Buffer;
  /** where string i begins; its u64 length stands in the 8 bytes before */
  private readonly starts: Uint32Array;

  constructor(bytes: Buffer, starts: Uint32Array) {
    this.length = starts.length;
    this.bytes = bytes;
    this.starts = starts;
  }

  at(index: number): string | undefined {
    const place = index < 0 ? this.length + index : index;
    const start = this.starts[place];
    if (start === undefined) return undefined;
    return this.bytes.toString('utf8', start, start + this.bytes.readUInt32LE(start - 8));
  }

  *[Symbol.iterator](): Generator<string> {
    for (let i = 0; i < this.length; i++) yield this.at(i)!;
  }
}

type Described = { readonly path: string; readonly metadata: GgufMetadata };

/** A number of any type under `key`, or undefined without one. @throws gguf_invalid where it is no number or beyond 2^53 */
export function ggufNumber({ path, metadata }: Described, key: string): number | undefined {
  const found = metadata.get(key);
  if (!found) return undefined;
  if (typeof found.value === 'number') return found.value;
  if (typeof found.value !== 'bigint') throw wrongType(path, key, found, 'a number');
  const value = Number(found.value);
  if (!Number.isSafeInteger(value)) throw ggufInvalid(path, `${key} is ${found.value}, beyond 2^53`);
  return value;
}

/** A string under `key`, or undefined without one. @throws gguf_invalid where it is none */
export function ggufString({ path, metadata }: Described, key: string): string | undefined {
  const found = metadata.get(key);
  if (found && found.type !== 'string') throw wrongType(path, key, found, 'a string');
  return found?.value;
}

/** A bool under `key`, or undefined without one. @throws gguf_invalid where it is none */
export function ggufBool({ path, metadata }: Described, key: string): boolean | undefined {
  const found = metadata.get(key);
  if (found && found.type !== 'bool') throw wrongType(path, key, found, 'a bool');
  return found?.value;
}

/** A list of strings under `key`, or undefined without one. @throws gguf_invalid where it is none */
export function ggufStrings({ path, metadata }: Described, key: string): StringList | undefined {
  const found = metadata.get(key);
  if (!found) return undefined;
  if (found.type !== 'array' || found.of !== 'string') throw wrongType(path, key, found, 'a list of strings');
  return found.value;
}

/** A list of numbers under `key` as float64, or undefined without one. @throws gguf_invalid where it is none */
export function ggufNumbers({ path, metadata }: Described, key: string): Float64Array | undefined {
  const found = metadata.get(key);
  if (!found) return undefined;
  if (found.type !== 'array' || found.of === 'string' || found.of === 'bool') {
    throw wrongType(path, key, found, 'a list of numbers');
  }
  return Float64Array.from(found.value as ArrayLike<number | bigint>, Number);
}

function wrongType(path: string, key: string, found: GgufValue, wanted: string): DabarexError {
  const type = found.type === 'array' ? `an array of ${found.of}` : found.type;
  return ggufInvalid(path, `${key} is ${type}, not ${wanted}`);
}

export function ggufInvalid(path: string, problem: string): DabarexError {
  return new DabarexError(
    'gguf_invalid',
    `${path} is no valid GGUF file: ${problem}. Copy it again or use another file.`,
    { path, problem },
  );
}
