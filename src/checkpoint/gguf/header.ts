/**
 * The header of one GGUF file, versions 2 and 3: magic, version, counts, metadata, then name, shape, type and offset of every
 * tensor. Everything is checked as ggml's own loader does, and against the size of the file, before data is used: tensors lie
 * in the order of their descriptions, each at the padded end of the one before.
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import type { ByteFile } from '../byte-file.ts';
import { HeaderCursor } from './header-cursor.ts';
import { type GgmlType, ggmlBytes, ggmlTypeOf, TENSOR_TYPES } from './tensor-types.ts';
import {
  type GgufArray,
  type GgufMetadata,
  type GgufNumberType,
  type GgufType,
  type GgufValue,
  ggufInvalid,
  StoredStrings,
  TYPED_ARRAYS,
  VALUE_TYPES,
} from './values.ts';

export const MAGIC = 0x46554747;
export const DEFAULT_ALIGNMENT = 32;
export const MAX_NAME_BYTES = 63;
export const MAX_DIMENSIONS = 4;
const MAX_KEY_BYTES = 65535;
/** Beyond what any model has, and small enough for their descriptions to fit in memory. */
const MAX_KEYS = 1 << 16;
const MAX_TENSORS = 1 << 18;

const TYPE_NAMES = Object.keys(VALUE_TYPES).sort(
  (a, b) => VALUE_TYPES[a as GgufType] - VALUE_TYPES[b as GgufType],
) as GgufType[];

/** A tensor and where it lies. */
export interface GgufTensor {
  readonly name: string;
  readonly type: GgmlType;
  /** row-major: the reverse of ggml's order */
  readonly shape: readonly number[];
  /** the file it lies in: one part of a split one */
  readonly path: string;
  /** from the start of that file */
  readonly byteOffset: number;
  readonly sizeBytes: number;
}

export interface GgufHeader {
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** of the data of tensors */
  readonly alignment: number;
}

/** @throws gguf_invalid */
export function readGgufHeader(file: ByteFile): GgufHeader {
  const cursor = new HeaderCursor(file);
  const magic = file.sizeBytes < 4 ? 0 : cursor.u32();
  if (magic !== MAGIC) throw ggufInvalid(file.path, 'it does not begin with "GGUF"');
  const version = cursor.u32();
  if (version !== 2 && version !== 3) throw ggufInvalid(file.path, versionProblem(version));
  const numTensors = cursor.count('the number of tensors');
  const numKeys = cursor.count('the number of metadata keys');
  if (numTensors > MAX_TENSORS) throw ggufInvalid(file.path, `it claims ${numTensors} tensors`);
  if (numKeys > MAX_KEYS) throw ggufInvalid(file.path, `it claims ${numKeys} metadata keys`);
  const metadata = readMetadata(cursor, numKeys);
  const alignment = alignmentOf(metadata, file.path);
  const tensors = readTensors(cursor, numTensors, alignment, file.sizeBytes);
  return { version, metadata, tensors, alignment };
}

function versionProblem(version: number): string {
  if (version === 1)
    return 'it is of version 1, which nobody writes any more; convert it with an old llama.cpp';
  if (version & 0xffff) return `it is of version ${version}, not 2 or 3`;
  return 'its numbers are big endian, which is not supported';
}

function readMetadata(cursor: HeaderCursor, numKeys: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < numKeys; i++) {
    const key = cursor.name(`metadata key ${i}`, MAX_KEY_BYTES);
    if (key === '') throw ggufInvalid(cursor.path, `metadata key ${i} is empty`);
    if (metadata.has(key)) throw ggufInvalid(cursor.path, `it has metadata key "${key}" twice`);
    metadata.set(key, readValue(cursor, key));
  }
  return metadata;
}

function readValue(cursor: HeaderCursor, key: string): GgufValue {
  const type = readType(cursor, key);
  if (type === 'array') return readArray(cursor, key);
  if (type === 'string') {
    const value = cursor.bytes(cursor.count(`the length of ${key}`), key).toString('utf8');
    return { type, value };
  }
  if (type === 'bool') return { type, value: boolOf(cursor.u8(), cursor, key) };
  const [value] = readNumbers(cursor, type, 1, key);
  return { type, value } as GgufValue;
}

function readType(cursor: HeaderCursor, key: string): GgufType {
  const id = cursor.u32();
  const type = TYPE_NAMES[id];
  if (type === undefined) throw ggufInvalid(cursor.path, `${key} has type ${id}, which does not exist`);
  return type;
}

function boolOf(byte: number, cursor: HeaderCursor, key: string): boolean {
  if (byte > 1) throw ggufInvalid(cursor.path, `${key} is a bool of ${byte}`);
  return byte === 1;
}

function readArray(cursor: HeaderCursor, key: string): GgufArray {
  const of = readType(cursor, key);
  if (of === 'array') throw ggufInvalid(cursor.path, `${key} is an array of arrays`);
  if (of === 'string') return { type: 'array', of, value: readStrings(cursor, key) };
  if (of === 'bool') {
    const value = Uint8Array.from(cursor.bytes(cursor.countOf(`the length of ${key}`, 1), key));
    for (const byte of value) boolOf(byte, cursor, key);
    return { type: 'array', of, value };
  }
  const length = cursor.countOf(`the length of ${key}`, TYPED_ARRAYS[of].BYTES_PER_ELEMENT);
  return { type: 'array', of, value: readNumbers(cursor, of, length, key) } as GgufArray;
}

function readNumbers(cursor: HeaderCursor, type: GgufNumberType, length: number, key: string) {
  const bytes = Uint8Array.from(cursor.bytes(length * TYPED_ARRAYS[type].BYTES_PER_ELEMENT, key));
  return new TYPED_ARRAYS[type](bytes.buffer);
}

/** Walks over the strings, then keeps a copy of the stretch they fill. */
function readStrings(cursor: HeaderCursor, key: string): StoredStrings {
  const length = cursor.countOf(`the length of ${key}`, 8);
  const starts = new Uint32Array(length);
  const first = cursor.position;
  for (let i = 0; i < length; i++) {
    const bytes = cursor.count(`the length of ${key}[${i}]`);
    starts[i] = cursor.position - first;
    cursor.bytes(bytes, `${key}[${i}]`);
  }
  return new StoredStrings(cursor.since(first), starts);
}

function alignmentOf(metadata: GgufMetadata, path: string): number {
  const found = metadata.get('general.alignment');
  if (!found) return DEFAULT_ALIGNMENT;
  const { type, value } = found;
  if (type === 'u32' && value > 0 && (value & (value - 1)) === 0) return value;
  throw ggufInvalid(path, `general.alignment is ${value} (${type}), not a u32 that is a power of two`);
}

interface Described {
  readonly name: string;
  readonly type: GgmlType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly sizeBytes: number;
}

function readTensors(
  cursor: HeaderCursor,
  numTensors: number,
  alignment: number,
  fileBytes: number,
): Map<string, GgufTensor> {
  const described = new Map<string, Described>();
  let end = 0;
  for (let i = 0; i < numTensors; i++) {
    const tensor = readDescription(cursor, i);
    const { name, offset, sizeBytes } = tensor;
    if (described.has(name)) throw ggufInvalid(cursor.path, `it has tensor "${name}" twice`);
    if (offset !== end) {
      throw ggufInvalid(
        cursor.path,
        `tensor "${name}" has offset ${offset}, not ${end}, the end of the one before (hole, overlap or wrong order)`,
      );
    }
    if (offset + sizeBytes > fileBytes) throw beyond(cursor.path, name, offset + sizeBytes, fileBytes);
    described.set(name, tensor);
    end = padded(offset + sizeBytes, alignment);
  }
  const dataStart = padded(cursor.position, alignment);
  const tensors = new Map<string, GgufTensor>();
  for (const [name, { type, shape, offset, sizeBytes }] of described) {
    const byteOffset = dataStart + offset;
    if (byteOffset + sizeBytes > fileBytes)
      throw beyond(cursor.path, name, byteOffset + sizeBytes, fileBytes);
    tensors.set(name, { name, type, shape, path: cursor.path, byteOffset, sizeBytes });
  }
  return tensors;
}

function beyond(path: string, name: string, end: number, fileBytes: number) {
  return ggufInvalid(path, `tensor "${name}" would end at byte ${end}, the file ends at ${fileBytes}`);
}

function readDescription(cursor: HeaderCursor, index: number): Described {
  const name = cursor.name(`the name of tensor ${index}`, MAX_NAME_BYTES);
  const where = `tensor "${name}"`;
  const numDimensions = cursor.u32();
  if (numDimensions > MAX_DIMENSIONS)
    throw ggufInvalid(cursor.path, `${where} has ${numDimensions} dimensions`);
  const shape = Array.from({ length: numDimensions }, () =>
    cursor.count(`a dimension of ${where}`),
  ).reverse();
  const id = cursor.u32();
  const type = ggmlTypeOf(id);
  if (!type) throw ggufInvalid(cursor.path, `${where} has type ${id}, which is not known`);
  const offset = cursor.count(`the offset of ${where}`);
  const sizeBytes = ggmlBytes(type, shape);
  if (Number.isNaN(sizeBytes)) {
    const { weights } = TENSOR_TYPES[type];
    throw ggufInvalid(
      cursor.path,
      `${where} is ${type} [${shape}], which is too large or has rows that are no multiple of ${weights}`,
    );
  }
  return { name, type, shape, offset, sizeBytes };
}

export function padded(position: number, alignment: number): number {
  return Math.ceil(position / alignment) * alignment;
}
