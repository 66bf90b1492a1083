/**
 * The readers of foreign checkpoints under damage: GGUF (one file and split), Hugging Face folders (one file and shards) and llama2.c,
 * changed byte by byte, figure by figure and name by name. What opens can be read; what does not is refused with a code; memory
 * stays within what the files hold.
 *
 *   npm run fuzz -- checkpoints [--minutes N] [--seed N]
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DabarexError } from '../../src/base/index.ts';
import {
  type GgufValue,
  openGguf,
  openHfFolder,
  openLlama2c,
  quantizeParts,
  readLlama2cTokenizer,
  type TensorToWrite,
  writeGguf,
  writeHfFolder,
} from '../../src/checkpoint/index.ts';
import { createKernels, QUANTIZABLE } from '../../src/tensor/index.ts';

const ALLOWED = [
  'checkpoint_index_invalid',
  'checkpoint_mismatch',
  'file_missing',
  'gguf_invalid',
  'gguf_type_unsupported',
  'llama2c_invalid',
  'safetensors_invalid',
];
/** Far above what the files hold, which is 100 kB, far below what a lying figure asks for. */
const MEMORY_BYTES = 1 << 24;

const kernels = createKernels();
const KINDS = ['gguf', 'gguf-split', 'hf', 'hf-shards', 'llama2c'] as const;
type Kind = (typeof KINDS)[number];

let root: string;
const original = new Map<Kind, Map<string, Buffer>>();
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-fuzz-checkpoints-'));
  for (const kind of KINDS) {
    const dir = join(root, kind);
    MAKE[kind](dir);
    original.set(kind, new Map(readdirSync(dir).map((name) => [name, readFileSync(join(dir, name))])));
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const weights = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i));

function makeGguf(dir: string, shardBytes?: number): void {
  const strings = Array.from({ length: 50 }, (_, i) => `token ${i} ä`);
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.alignment', { type: 'u32', value: 32 }],
    ['llama.block_count', { type: 'u32', value: 2 }],
    ['llama.size', { type: 'u64', value: 7n }],
    ['llama.eps', { type: 'f32', value: 1e-5 }],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: true }],
    ['tokenizer.ggml.tokens', { type: 'array', of: 'string', value: strings }],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: new Int32Array(50).fill(1) }],
    ['bools', { type: 'array', of: 'bool', value: Uint8Array.of(1, 0) }],
  ]);
  const tensors = QUANTIZABLE.map((type) => ({
    name: `${type}.weight`,
    type,
    shape: [2, 3, 256],
    parts: () => quantizeParts([weights(6 * 256)], type, 'x', kernels),
  }));
  writeGguf(join(dir, 'model.gguf'), { metadata, tensors }, { shardBytes });
}

function makeHf(dir: string, shardBytes?: number): void {
  const tensors: TensorToWrite[] = (['F32', 'F16', 'BF16'] as const).map((dtype) => ({
    name: `${dtype}.weight`,
    dtype,
    shape: [16, 32],
    data: weights(512),
  }));
  tensors.push({ name: 'ids', dtype: 'I64', shape: [3], data: BigInt64Array.of(1n, 2n, 3n) });
  writeHfFolder(dir, { tensors, files: new Map() }, { shardBytes });
}

function makeLlama2c(dir: string): void {
  const [dim, hidden, layers, heads, kvHeads, vocab, length] = [8, 12, 3, 2, 1, 10, 6] as const;
  const kvDim = (dim / heads) * kvHeads;
  const perLayer = 2 * dim + 2 * dim * dim + 2 * kvDim * dim + 3 * dim * hidden;
  const count = 2 * vocab * dim + layers * perLayer + dim + (length * dim) / heads;
  const header = Int32Array.of(dim, hidden, layers, heads, kvHeads, -vocab, length);
  mkdirSync(dir);
  writeFileSync(
    join(dir, 'model.bin'),
    Buffer.concat([header, weights(count)].map((each) => Buffer.from(each.buffer))),
  );
  const tokens = Array.from({ length: 10 }, (_, i) => {
    const head = Buffer.alloc(8);
    head.writeFloatLE(-i, 0);
    head.writeInt32LE(i, 4);
    return Buffer.concat([head, Buffer.alloc(i, 0x61)]);
  });
  writeFileSync(join(dir, 'tokenizer.bin'), Buffer.concat([Buffer.from(Int32Array.of(9).buffer), ...tokens]));
}

const MAKE: Readonly<Record<Kind, (dir: string) => void>> = {
  gguf: (dir) => makeGguf(dir),
  'gguf-split': (dir) => makeGguf(dir, 8000),
  hf: (dir) => makeHf(dir),
  'hf-shards': (dir) => makeHf(dir, 1500),
  llama2c: makeLlama2c,
};

/** A change of one file. Half of them fall into the first 2000 bytes, where headers are. */
const change = fc.record({
  file: fc.nat(),
  kind: fc.constantFrom('flip', 'byte', 'word', 'long', 'digits', 'cut', 'insert', 'swap', 'grow'),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  inHeader: fc.boolean(),
  value: fc.oneof(
    fc.constantFrom(
      0n,
      1n,
      2n ** 31n,
      2n ** 32n - 1n,
      2n ** 53n,
      2n ** 60n,
      2n ** 61n,
      2n ** 63n,
      2n ** 64n - 1n,
    ),
    fc.bigInt(0n, 2n ** 16n),
    fc.bigInt(0n, 2n ** 64n - 1n),
  ),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function applyChange(files: Map<string, Buffer>, { file, kind, at, inHeader, value }: Change): void {
  const names = [...files.keys()];
  const name = names[file % names.length]!;
  const bytes = Buffer.from(files.get(name)!);
  const place = Math.floor(at * (inHeader ? Math.min(2000, bytes.length) : bytes.length));
  if (bytes.length < 16) return;
  const small = Number(value & 0xffn);
  const changed: Readonly<Record<string, () => Buffer>> = {
    flip: () => fill(bytes, place, Buffer.of(bytes[place]! ^ (1 << (small % 8)))),
    byte: () => fill(bytes, place, Buffer.of(small)),
    word: () => fill(bytes, place & ~3, Buffer.from(Uint32Array.of(Number(value & 0xffffffffn)).buffer)),
    long: () => fill(bytes, place, Buffer.from(BigUint64Array.of(value).buffer)),
    digits: () => replaceDigits(bytes, place, value),
    cut: () => bytes.subarray(0, place),
    insert: () => Buffer.concat([bytes.subarray(0, place), bytes.subarray(place >> 1)]),
    grow: () => Buffer.concat([bytes, Buffer.alloc(small)]),
    swap: () => {
      const other = names[small % names.length]!;
      const swapped = files.get(other)!;
      files.set(other, bytes);
      return swapped;
    },
  };
  files.set(name, changed[kind]!());
}

function fill(bytes: Buffer, place: number, content: Buffer): Buffer {
  content.copy(bytes, Math.min(place, bytes.length - content.length));
  return bytes;
}

/** The first number of a JSON from there on becomes another one, a negative one now and then. */
function replaceDigits(bytes: Buffer, place: number, value: bigint): Buffer {
  const text = bytes.toString('latin1');
  const sign = value % 3n === 0n ? '-' : '';
  return Buffer.from(text.slice(0, place) + text.slice(place).replace(/\d+/, `${sign}${value}`), 'latin1');
}

/** @returns what `work` gives, or null where it was refused with a code of the readers */
function orRefused<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DabarexError)) throw error;
    expect(ALLOWED).toContain(error.code);
    return null;
  }
}

function readGguf(path: string): void {
  const file = orRefused(() => openGguf(path, kernels));
  if (!file) return;
  for (const { value } of file.metadata.values())
    if (typeof value === 'object') expect([...value].length).toBe(value.length);
  for (const { name, shape } of file.tensors.values()) {
    orRefused(() => expect(file.read(name).length).toBe(shape.reduce((a, b) => a * b, 1)));
    file.readBytes(name);
  }
  file.close();
}

function readHf(dir: string): void {
  const folder = orRefused(() => openHfFolder(dir, kernels));
  if (!folder) return;
  for (const [name, { shape }] of folder.tensors) {
    orRefused(() => expect(folder.read(name).length).toBe(shape.reduce((a, b) => a * b, 1)));
    orRefused(() => folder.readData(name));
  }
  folder.close();
}

function readLlama2c(dir: string): void {
  orRefused(() => readLlama2cTokenizer(join(dir, 'tokenizer.bin')));
  const model = orRefused(() => openLlama2c(join(dir, 'model.bin')));
  for (const name of model?.tensors.keys() ?? []) model!.read(name);
  model?.close();
}

function readAll(kind: Kind, dir: string, names: Iterable<string>): void {
  if (kind === 'llama2c') readLlama2c(dir);
  else if (kind.startsWith('hf')) readHf(dir);
  else for (const name of names) readGguf(join(dir, name));
}

function check(kind: Kind, changes: readonly Change[]): void {
  const files = new Map(original.get(kind)!);
  for (const each of changes) applyChange(files, each);
  const dir = mkdtempSync(join(root, 'case-'));
  try {
    for (const [name, bytes] of files) writeFileSync(join(dir, name), bytes);
    const before = process.memoryUsage().arrayBuffers;
    readAll(kind, dir, files.keys());
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MEMORY_BYTES);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

describe.each(KINDS)('%s', (kind) => {
  it('is read whole as it was written', () => check(kind, []));

  it('survives changes', () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => check(kind, changes)),
      { numRuns: 300 },
    );
  });
});
