/**
 * GGUF files, read tensor by tensor and row by row. One that was split (`-00001-of-00003.gguf`) is opened by any of its
 * parts as if it were one: metadata is that of the first part without `split.*`.
 */
import { DabarexError } from '../../base/index.ts';
import { type BlockKernels, createKernels } from '../../tensor/index.ts';
import { ByteFile, requireRows } from '../byte-file.ts';
import { type GgufHeader, type GgufTensor, readGgufHeader } from './header.ts';
import { isBlockFormat, isReadable, NUMBER_ARRAYS, TENSOR_TYPES } from './tensor-types.ts';
import { type GgufMetadata, type GgufValue, ggufInvalid, ggufNumber } from './values.ts';

/** Bytes read at a time where values are made of them. */
const PART_BYTES = 1 << 22;

/** An open file. Its header is checked; its data is read when asked for. Close it to give the file handles back. */
export interface GgufFile {
  /** as given to {@link openGguf} */
  readonly path: string;
  /** all parts in order; one where it is not split */
  readonly paths: readonly string[];
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** The values as float32: weights exactly as ggml dequantises them, other numbers rounded. @throws checkpoint_mismatch without such a tensor, gguf_type_unsupported */
  read(name: string): Float32Array<ArrayBuffer>;
  /** Rows `startRow` to `endRow` (exclusive), a row being the last dimension; all dimensions before it count as rows. @throws as read */
  readRange(name: string, startRow: number, endRow: number): Float32Array<ArrayBuffer>;
  /** As it is stored, all of it or some rows. @throws checkpoint_mismatch without such a tensor */
  readBytes(name: string, startRow?: number, endRow?: number): Uint8Array<ArrayBuffer>;
  close(): void;
}

/**
 * Opens a GGUF file of version 2 or 3, or all parts of a split one.
 * @param kernels turn blocks into values; default: the best of this machine
 * @throws file_missing, gguf_invalid
 */
export function openGguf(path: string, kernels: BlockKernels = createKernels()): GgufFile {
  const files: ByteFile[] = [];
  try {
    const open = (each: string) => {
      const file = new ByteFile(each, ggufInvalid);
      files.push(file);
      return { file, header: readGgufHeader(file) };
    };
    const first = open(path);
    const count = ggufNumber({ path, metadata: first.header.metadata }, 'split.count') ?? 1;
    if (count <= 1) return new OpenGguf(path, files, [first.header], kernels);
    const names = partNames(path, count);
    const headers = names.map((each) => (each === path ? first.header : open(each).header));
    checkParts(names, headers);
    return new OpenGguf(
      path,
      names.map((each) => files.find((file) => file.path === each)!),
      headers,
      kernels,
    );
  } catch (error) {
    for (const file of files) file.close();
    throw error;
  }
}

/** Paths of all parts, from that of any. */
function partNames(path: string, count: number): string[] {
  const [, prefix, , total] = path.match(/^(.*)-(\d{5})-of-(\d{5})\.gguf$/s) ?? [];
  if (prefix === undefined || Number(total) !== count) {
    throw ggufInvalid(path, `it is one of ${count} parts, but not named like -00001-of-0000N.gguf`);
  }
  return Array.from({ length: count }, (_, i) => partName(prefix, i, count));
}

/** `index` counts from 0. */
export function partName(prefix: string, index: number, count: number): string {
  const five = (value: number) => String(value).padStart(5, '0');
  return `${prefix}-${five(index + 1)}-of-${five(count)}.gguf`;
}

function checkParts(names: readonly string[], headers: readonly GgufHeader[]): void {
  const seen = new Set<string>();
  for (const [i, { metadata, tensors }] of headers.entries()) {
    const part = { path: names[i]!, metadata };
    const [no, count] = ['split.no', 'split.count'].map((key) => ggufNumber(part, key));
    if (no !== i || count !== names.length) {
      throw ggufInvalid(
        names[i]!,
        `it says that it is part ${no} of ${count}, counted from 0, not ${i} of ${names.length}`,
      );
    }
    for (const name of tensors.keys()) {
      if (seen.has(name)) throw ggufInvalid(names[i]!, `tensor "${name}" stands in a part before, too`);
      seen.add(name);
    }
  }
  const expected = ggufNumber({ path: names[0]!, metadata: headers[0]!.metadata }, 'split.tensors.count');
  if (expected !== undefined && expected !== seen.size) {
    throw ggufInvalid(names[0]!, `its parts hold ${seen.size} tensors, not ${expected}`);
  }
}

class OpenGguf implements GgufFile {
  readonly path: string;
  readonly paths: readonly string[];
  readonly version: number;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  private readonly files: ReadonlyMap<string, ByteFile>;
  private readonly kernels: BlockKernels;

  constructor(
    path: string,
    files: readonly ByteFile[],
    headers: readonly GgufHeader[],
    kernels: BlockKernels,
  ) {
    this.path = path;
    this.paths = files.map((each) => each.path);
    this.version = headers[0]!.version;
    this.metadata = withoutSplit(headers[0]!.metadata);
    this.tensors = new Map(headers.flatMap((each) => [...each.tensors]));
    this.files = new Map(files.map((each) => [each.path, each]));
    this.kernels = kernels;
  }

  read(name: string): Float32Array<ArrayBuffer> {
    return this.readRange(name, 0, rowsOf(this.find(name)));
  }

  readRange(name: string, startRow: number, endRow: number): Float32Array<ArrayBuffer> {
    const tensor = this.find(name);
    if (!isReadable(tensor.type)) throw unsupported(tensor);
    const columns = tensor.shape.at(-1) ?? 1;
    const { byteOffset, sizeBytes } = this.placeOf(tensor, startRow, endRow);
    const values = new Float32Array((endRow - startRow) * columns);
    const { weights, bytes } = TENSOR_TYPES[tensor.type];
    const blocksAtOnce = Math.max(1, Math.floor(PART_BYTES / bytes));
    const file = this.files.get(tensor.path)!;
    const part = new Uint8Array(Math.min(sizeBytes, blocksAtOnce * bytes));
    for (let block = 0; block * weights < values.length; block += blocksAtOnce) {
      const target = values.subarray(block * weights, (block + blocksAtOnce) * weights);
      const stored = part.subarray(0, (target.length / weights) * bytes);
      file.readInto(stored, byteOffset + block * bytes);
      if (isBlockFormat(tensor.type)) this.kernels.dequantizeBlocks(target, stored, tensor.type);
      else numbersInto(target, stored, NUMBER_ARRAYS[tensor.type as keyof typeof NUMBER_ARRAYS]);
    }
    return values;
  }

  readBytes(name: string, startRow?: number, endRow?: number): Uint8Array<ArrayBuffer> {
    const tensor = this.find(name);
    const { byteOffset, sizeBytes } = this.placeOf(tensor, startRow ?? 0, endRow ?? rowsOf(tensor));
    return this.files.get(tensor.path)!.read(byteOffset, sizeBytes);
  }

  close(): void {
    for (const file of this.files.values()) file.close();
  }

  private find(name: string): GgufTensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw new DabarexError(
      'checkpoint_mismatch',
      `${this.path} has no tensor "${name}": it belongs to another architecture. Use a file of this model.`,
      { path: this.path, name },
    );
  }

  private placeOf(tensor: GgufTensor, startRow: number, endRow: number) {
    const rows = rowsOf(tensor);
    requireRows(tensor.name, startRow, endRow, rows);
    const rowBytes = rows === 0 ? 0 : tensor.sizeBytes / rows;
    return { byteOffset: tensor.byteOffset + startRow * rowBytes, sizeBytes: (endRow - startRow) * rowBytes };
  }
}

/** Rows of a tensor: the product of all its dimensions but the last. */
function rowsOf({ shape }: GgufTensor): number {
  return shape.slice(0, -1).reduce((a, b) => a * b, 1);
}

function numbersInto(
  target: Float32Array,
  stored: Uint8Array<ArrayBuffer>,
  Type: (typeof NUMBER_ARRAYS)[keyof typeof NUMBER_ARRAYS],
): void {
  const numbers = new Type(stored.slice().buffer);
  for (let i = 0; i < target.length; i++) target[i] = Number(numbers[i]);
}

function withoutSplit(metadata: GgufMetadata): Map<string, GgufValue> {
  return new Map([...metadata].filter(([key]) => !key.startsWith('split.')));
}

function unsupported({ path, name, type }: GgufTensor): DabarexError {
  return new DabarexError(
    'gguf_type_unsupported',
    `${path} holds "${name}" as ${type}, which cannot be read here. Use a file with F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K or other common types.`,
    { path, name, type },
  );
}
