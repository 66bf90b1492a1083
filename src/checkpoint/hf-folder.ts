/**
 * Weights as Hugging Face keeps them: `model.safetensors`, or shards `model-00001-of-00002.safetensors` with an index that
 * says which tensor stands in which. Read as one set of tensors; written shard by shard into a folder that appears when it is whole.
 * What else a folder holds (config, tokenizer) is not looked at here.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DabarexError, fileError, syncFolder, writeFileAtomic } from '../base/index.ts';
import { type BlockKernels, createKernels } from '../tensor/index.ts';
import {
  readSafetensors,
  type SafetensorsFile,
  type TensorData,
  type TensorToWrite,
  writeSafetensors,
} from './safetensors.ts';
import { MAX_HEADER_BYTES, type TensorInfo, tensorBytes } from './safetensors-header.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/** All shards of a folder as one. `byteOffset` of a tensor counts in its own file. */
export interface HfFolder extends SafetensorsFile {
  /** paths of the files, in order of their names */
  readonly files: readonly string[];
}

/**
 * Opens the weights of a folder; every header is checked.
 * @throws file_missing, safetensors_invalid, checkpoint_index_invalid
 */
export function openHfFolder(dir: string, kernels: BlockKernels = createKernels()): HfFolder {
  if (existsSync(join(dir, SINGLE))) {
    const file = readSafetensors(join(dir, SINGLE), kernels);
    return new OpenFolder(dir, [file], new Map([...file.tensors.keys()].map((name) => [name, file])));
  }
  const weightMap = readIndex(dir);
  const shards = new Map<string, SafetensorsFile>();
  try {
    for (const name of [...new Set(weightMap.values())].sort()) {
      shards.set(name, readSafetensors(join(dir, name), kernels));
    }
    checkShards(dir, weightMap, shards);
  } catch (error) {
    for (const shard of shards.values()) shard.close();
    throw error;
  }
  const owners = new Map([...weightMap].map(([name, file]) => [name, shards.get(file)!]));
  return new OpenFolder(dir, [...shards.values()], owners);
}

/** Tensor to the name of its file. */
function readIndex(dir: string): Map<string, string> {
  const path = join(dir, INDEX);
  let parsed: unknown;
  try {
    if (statSync(path).size > MAX_HEADER_BYTES) throw indexInvalid(dir, 'it is larger than 100 MB');
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw indexInvalid(dir, 'it is not JSON');
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fileError(error, path);
    throw new DabarexError('file_missing', `${dir} has neither ${SINGLE} nor ${INDEX}. Check the path.`, {
      path: dir,
    });
  }
  const weightMap = isObject(parsed) && Object.hasOwn(parsed, 'weight_map') ? parsed.weight_map : undefined;
  if (!isObject(weightMap)) throw indexInvalid(dir, 'it has no weight_map');
  const entries = Object.entries(weightMap).map(([name, file]): [string, string] => {
    if (typeof file === 'string' && /^[^./\\:\0][^/\\:\0]*\.safetensors$/.test(file)) return [name, file];
    throw indexInvalid(
      dir,
      `tensor "${name}" stands in ${JSON.stringify(file)}, which is no safetensors file of this folder`,
    );
  });
  return new Map(entries);
}

function checkShards(
  dir: string,
  weightMap: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, SafetensorsFile>,
): void {
  for (const [name, file] of weightMap) {
    if (!shards.get(file)!.tensors.has(name))
      throw indexInvalid(dir, `${file} does not hold tensor "${name}"`);
  }
  for (const [file, { tensors }] of shards) {
    for (const name of tensors.keys()) {
      const listed = weightMap.get(name);
      if (listed === undefined || listed === file) continue;
      throw indexInvalid(dir, `tensor "${name}" stands in ${listed} and in ${file}`);
    }
  }
}

class OpenFolder implements HfFolder {
  readonly path: string;
  readonly files: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  private readonly shards: readonly SafetensorsFile[];
  private readonly owners: ReadonlyMap<string, SafetensorsFile>;

  constructor(dir: string, shards: readonly SafetensorsFile[], owners: ReadonlyMap<string, SafetensorsFile>) {
    this.path = dir;
    this.files = shards.map((each) => each.path);
    this.metadata = shards[0]?.metadata ?? {};
    this.tensors = new Map([...owners].map(([name, shard]) => [name, shard.tensors.get(name)!]));
    this.shards = shards;
    this.owners = owners;
  }

  read(name: string): Float32Array {
    return this.ownerOf(name).read(name);
  }

  readData(name: string): TensorData {
    return this.ownerOf(name).readData(name);
  }

  readRange(name: string, start: number, end: number): Float32Array<ArrayBuffer> {
    return this.ownerOf(name).readRange(name, start, end);
  }

  readBytes(name: string, start?: number, end?: number): Uint8Array<ArrayBuffer> {
    return this.ownerOf(name).readBytes(name, start, end);
  }

  close(): void {
    for (const shard of this.shards) shard.close();
  }

  private ownerOf(name: string): SafetensorsFile {
    const owner = this.owners.get(name);
    if (owner) return owner;
    throw new DabarexError(
      'checkpoint_mismatch',
      `${this.path} has no tensor "${name}": it belongs to another architecture. Use a checkpoint of this model.`,
      { path: this.path, name },
    );
  }
}

export interface HfFolderToWrite {
  readonly tensors: readonly TensorToWrite[];
  /** what else the folder holds, by name: config.json, tokenizer.json ... */
  readonly files: ReadonlyMap<string, string | Uint8Array>;
}

export interface HfWriteOptions {
  /** the most that the data of a shard may have, unless a single tensor has more; default: one file */
  readonly shardBytes?: number;
  /** put in the place of a folder that is there; default: such a folder is an error, unless it is empty */
  readonly replace?: boolean;
}

/**
 * Writes a folder whole or not at all, tensors in their order.
 * @returns checksums of the files of weights, by name
 * @throws path_unusable where the folder is there already; disk_full and what else `fileError` knows
 */
export function writeHfFolder(
  dir: string,
  content: HfFolderToWrite,
  options: HfWriteOptions = {},
): Record<string, string> {
  if (!options.replace && existsSync(dir) && readdirSync(dir).length > 0) {
    throw new DabarexError(
      'path_unusable',
      `${dir} is there already and not empty. Choose another folder, or remove it.`,
      { path: dir },
    );
  }
  const temporary = `${dir}.tmp-${process.pid}`;
  try {
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    for (const [name, data] of content.files) writeFileAtomic(join(temporary, name), data);
    const checksums = writeShards(temporary, content.tensors, options.shardBytes ?? Number.POSITIVE_INFINITY);
    publish(temporary, dir);
    return checksums;
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw fileError(error, dir);
  }
}

function writeShards(
  dir: string,
  tensors: readonly TensorToWrite[],
  shardBytes: number,
): Record<string, string> {
  const shards: TensorToWrite[][] = [[]];
  let held = 0;
  let totalBytes = 0;
  for (const tensor of tensors) {
    const size = tensorBytes(tensor.dtype, tensor.shape);
    if (held > 0 && held + size > shardBytes) {
      shards.push([]);
      held = 0;
    }
    shards.at(-1)!.push(tensor);
    held += size;
    totalBytes += size;
  }
  if (shards.length === 1) return { [SINGLE]: writeSafetensors(join(dir, SINGLE), tensors) };
  const checksums: Record<string, string> = {};
  const placed: [string, string][] = [];
  for (const [i, shard] of shards.entries()) {
    const file = shardName(i, shards.length);
    checksums[file] = writeSafetensors(join(dir, file), shard);
    placed.push(...shard.map(({ name }): [string, string] => [name, file]));
  }
  const weightMap = Object.fromEntries(placed.sort(([a], [b]) => (a < b ? -1 : 1)));
  const index = { metadata: { total_size: totalBytes }, weight_map: weightMap };
  writeFileAtomic(join(dir, INDEX), `${JSON.stringify(index, null, 2)}\n`);
  return checksums;
}

function shardName(index: number, count: number): string {
  const five = (value: number) => String(value).padStart(5, '0');
  return `model-${five(index + 1)}-of-${five(count)}.safetensors`;
}

function publish(temporary: string, dir: string): void {
  const replaced = join(dirname(dir), `${basename(dir)}.tmp-replaced`);
  rmSync(replaced, { recursive: true, force: true });
  if (existsSync(dir)) renameSync(dir, replaced);
  renameSync(temporary, dir);
  syncFolder(dirname(dir));
  rmSync(replaced, { recursive: true, force: true });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function indexInvalid(dir: string, problem: string): DabarexError {
  return new DabarexError(
    'checkpoint_index_invalid',
    `${join(dir, INDEX)} does not describe its folder: ${problem}. Copy the folder again from where it is whole.`,
    { path: join(dir, INDEX), problem },
  );
}
