/**
 * Writes GGUF files of version 3, tensor by tensor: what a tensor is made of is asked for when its turn comes, and part by part, so
 * memory holds no more than the caller's parts. Files get temporary names, are synced, and renamed when all are whole. A
 * model too large for one file is split as llama.cpp splits it: metadata in the first part, `split.*` in all.
 */
import { assert, DabarexError, type FileParts, writeFilesAtomic } from '../../base/index.ts';
import { ByteWriter } from './byte-writer.ts';
import { DEFAULT_ALIGNMENT, MAGIC, MAX_DIMENSIONS, MAX_NAME_BYTES, padded } from './header.ts';
import { partName } from './reader.ts';
import { type GgmlType, ggmlBytes, TENSOR_TYPES } from './tensor-types.ts';
import { type GgufMetadata, type GgufValue, ggufNumber } from './values.ts';

export interface GgufTensorToWrite {
  /** less than 64 bytes */
  readonly name: string;
  readonly type: GgmlType;
  /** row-major, at most four dimensions; the last one is a whole number of blocks */
  readonly shape: readonly number[];
  /** all bytes in order, in parts of any size; called once, when its turn comes */
  readonly parts: () => Iterable<Uint8Array>;
}

export interface GgufToWrite {
  /** without `split.*`; types are written as they are given */
  readonly metadata: GgufMetadata;
  readonly tensors: readonly GgufTensorToWrite[];
}

export interface GgufWriteOptions {
  /** the most a part may have, unless a single tensor has more; default: one file */
  readonly shardBytes?: number;
}

/**
 * Writes one file at `path`, or, where it would be larger than `shardBytes`, parts beside it: `model.gguf` becomes
 * `model-00001-of-00003.gguf` and so on. Nothing of these names exists until all parts are whole.
 * @returns the paths written, in order
 * @throws gguf_not_representable naming what the format cannot hold; disk_full and what else `fileError` knows
 */
export function writeGguf(path: string, file: GgufToWrite, options: GgufWriteOptions = {}): string[] {
  checkTensors(path, file.tensors);
  const alignment = ggufNumber({ path, metadata: file.metadata }, 'general.alignment') ?? DEFAULT_ALIGNMENT;
  const { length: metadataBytes } = encodeMetadata(file.metadata);
  const shards = cut(file.tensors, alignment, metadataBytes, options.shardBytes ?? Number.POSITIVE_INFINITY);
  const count = shards.length;
  if (count === 1) {
    writeFilesAtomic([{ path, parts: partsOf(file.metadata, shards[0]!, alignment) }]);
    return [path];
  }
  const prefix = path.replace(/\.gguf$/, '');
  const outputs: FileParts[] = shards.map((tensors, i) => {
    const own = splitMetadata(file, i, count);
    return { path: partName(prefix, i, count), parts: partsOf(own, tensors, alignment) };
  });
  writeFilesAtomic(outputs);
  return outputs.map((each) => each.path);
}

function checkTensors(path: string, tensors: readonly GgufTensorToWrite[]): void {
  const names = new Set<string>();
  for (const { name, type, shape } of tensors) {
    const refuse = (problem: string) =>
      new DabarexError(
        'gguf_not_representable',
        `${path} cannot hold tensor "${name}": ${problem}. Write the model in another format.`,
        { path, name, problem },
      );
    if (Buffer.byteLength(name, 'utf8') > MAX_NAME_BYTES)
      throw refuse(`its name has more than ${MAX_NAME_BYTES} bytes`);
    if (shape.length > MAX_DIMENSIONS)
      throw refuse(`it has ${shape.length} dimensions, more than ${MAX_DIMENSIONS}`);
    const { weights } = TENSOR_TYPES[type];
    if (Number.isNaN(ggmlBytes(type, shape))) {
      throw refuse(`as ${type} its last dimension must be a multiple of ${weights}, and [${shape}] is not`);
    }
    assert(!names.has(name), `tensor "${name}" is written once`);
    names.add(name);
  }
}

/** Tensors by file, in their order. */
function cut(
  tensors: readonly GgufTensorToWrite[],
  alignment: number,
  metadataBytes: number,
  shardBytes: number,
): GgufTensorToWrite[][] {
  const shards: GgufTensorToWrite[][] = [[]];
  let headerBytes = HEAD_BYTES + metadataBytes + SPLIT_BYTES;
  let dataBytes = 0;
  for (const tensor of tensors) {
    const descriptionBytes = encodeDescription(tensor, 0).length;
    const size = padded(ggmlBytes(tensor.type, tensor.shape), alignment);
    const last = shards.at(-1)!;
    if (
      last.length > 0 &&
      padded(headerBytes + descriptionBytes, alignment) + dataBytes + size > shardBytes
    ) {
      shards.push([]);
      headerBytes = HEAD_BYTES + SPLIT_BYTES;
      dataBytes = 0;
    }
    shards.at(-1)!.push(tensor);
    headerBytes += descriptionBytes;
    dataBytes += size;
  }
  return shards;
}

/** Magic, version and two counts. */
const HEAD_BYTES = 24;
/** Room for `split.*` and general.alignment in every part. */
const SPLIT_BYTES = 160;

function splitMetadata({ metadata, tensors }: GgufToWrite, index: number, count: number): GgufMetadata {
  const alignment = metadata.get('general.alignment');
  const own: [string, GgufValue][] =
    index === 0 ? [...metadata] : alignment ? [['general.alignment', alignment]] : [];
  return new Map<string, GgufValue>([
    ...own,
    ['split.no', { type: 'u16', value: index }],
    ['split.count', { type: 'u16', value: count }],
    ['split.tensors.count', { type: 'i32', value: tensors.length }],
  ]);
}

function* partsOf(
  metadata: GgufMetadata,
  tensors: readonly GgufTensorToWrite[],
  alignment: number,
): Generator<Uint8Array> {
  const head = new ByteWriter().u32(MAGIC).u32(3).u64(tensors.length).u64(metadata.size);
  head.raw(encodeMetadata(metadata));
  let offset = 0;
  for (const tensor of tensors) {
    head.raw(encodeDescription(tensor, offset));
    offset += padded(ggmlBytes(tensor.type, tensor.shape), alignment);
  }
  const bytes = head.done();
  yield bytes;
  yield padding(bytes.length, alignment);
  for (const { name, type, shape, parts } of tensors) {
    const sizeBytes = ggmlBytes(type, shape);
    let written = 0;
    for (const part of parts()) {
      written += part.byteLength;
      assert(written <= sizeBytes, `parts of "${name}" have no more than ${sizeBytes} bytes`);
      yield part;
    }
    assert(written === sizeBytes, `parts of "${name}" have ${sizeBytes} bytes, not ${written}`);
    yield padding(sizeBytes, alignment);
  }
}

function encodeMetadata(metadata: GgufMetadata): Buffer {
  const writer = new ByteWriter();
  for (const [key, value] of metadata) writer.string(key).value(value);
  return writer.done();
}

function encodeDescription({ name, type, shape }: GgufTensorToWrite, offset: number): Buffer {
  const writer = new ByteWriter().string(name).u32(shape.length);
  for (const size of [...shape].reverse()) writer.u64(size);
  return writer.u32(TENSOR_TYPES[type].id).u64(offset).done();
}

function padding(length: number, alignment: number): Uint8Array {
  return new Uint8Array(padded(length, alignment) - length);
}
