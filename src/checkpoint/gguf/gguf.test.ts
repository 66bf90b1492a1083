import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gguf as parseWithHub } from '@huggingface/gguf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { blockBytes, createReferenceKernels, QUANTIZABLE } from '../../tensor/index.ts';
import { quantizeParts } from '../quantize.ts';
import { openGguf } from './reader.ts';
import { TENSOR_TYPES } from './tensor-types.ts';
import {
  type GgufMetadata,
  type GgufValue,
  ggufBool,
  ggufNumber,
  ggufNumbers,
  ggufString,
  ggufStrings,
} from './values.ts';
import { type GgufTensorToWrite, writeGguf } from './writer.ts';

const vectors = resolve(process.env.DABAREX_VECTORS ?? '../shared/vectors', 'tokenizer');
const hasVectors = existsSync(vectors);
const whyNot = hasVectors ? '' : ` (skipped: no folder ${vectors})`;

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-gguf-'));
  path = join(dir, 'model.gguf');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const code = (expected: string) => expect.objectContaining({ code: expected });

/** Every type of value, at the ends of its range. */
const EVERY_TYPE: GgufMetadata = new Map<string, GgufValue>([
  ['general.architecture', { type: 'string', value: 'llama' }],
  ['u8', { type: 'u8', value: 255 }],
  ['i8', { type: 'i8', value: -128 }],
  ['u16', { type: 'u16', value: 65535 }],
  ['i16', { type: 'i16', value: -32768 }],
  ['u32', { type: 'u32', value: 2 ** 32 - 1 }],
  ['i32', { type: 'i32', value: -(2 ** 31) }],
  ['f32', { type: 'f32', value: Math.fround(1e-5) }],
  ['f64', { type: 'f64', value: Math.PI }],
  ['u64', { type: 'u64', value: 2n ** 64n - 1n }],
  ['i64', { type: 'i64', value: -(2n ** 63n) }],
  ['yes', { type: 'bool', value: true }],
  ['no', { type: 'bool', value: false }],
  ['__proto__', { type: 'string', value: '\ufeffnaïve 🤖' }],
  ['empty', { type: 'string', value: '' }],
  ['strings', { type: 'array', of: 'string', value: ['', 'a', '\ufeff', 'Ġü'] }],
  ['no strings', { type: 'array', of: 'string', value: [] }],
  ['bools', { type: 'array', of: 'bool', value: Uint8Array.of(1, 0, 1) }],
  ['i32s', { type: 'array', of: 'i32', value: Int32Array.of(-1, 6) }],
  ['f32s', { type: 'array', of: 'f32', value: Float32Array.of(-1.5, 0) }],
  ['u64s', { type: 'array', of: 'u64', value: BigUint64Array.of(1n, 2n ** 60n) }],
  ['f64s', { type: 'array', of: 'f64', value: new Float64Array() }],
]);

const plain = (metadata: GgufMetadata) =>
  [...metadata].map(([key, { value, ...rest }]) => [
    key,
    rest,
    typeof value === 'object' ? [...(value as Iterable<unknown>)] : value,
  ]);

const values = (length: number) => Float32Array.from({ length }, (_, i) => ((i * 37) % 101) - 50);
const raw = (bytes: Uint8Array | Float32Array) =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const f32 = (name: string, shape: readonly number[], data = values(shape.reduce((a, b) => a * b, 1))) =>
  ({ name, type: 'F32', shape, parts: () => [raw(data)] }) satisfies GgufTensorToWrite;

describe.skipIf(!hasVectors)(`vocabularies of llama.cpp${whyNot}`, () => {
  it.each(['gpt-2', 'llama-spm'])('writes %s again byte for byte', (name) => {
    const original = join(vectors, `ggml-vocab-${name}.gguf`);
    const file = openGguf(original);
    writeGguf(path, { metadata: file.metadata, tensors: [] });
    file.close();
    const [expected, found] = [readFileSync(original), readFileSync(path)];
    expect(found.subarray(0, expected.length).equals(expected)).toBe(true);
    expect(found.subarray(expected.length).every((byte) => byte === 0)).toBe(true);
  });

  it('reads what their tokens are', () => {
    const file = openGguf(join(vectors, 'ggml-vocab-gpt-2.gguf'));
    const tokens = ggufStrings(file, 'tokenizer.ggml.tokens')!;
    expect([tokens.length, tokens.at(0), tokens.at(-1), tokens.at(50257)]).toEqual([
      50257,
      '!',
      '<|endoftext|>',
      undefined,
    ]);
    expect(ggufStrings(file, 'tokenizer.ggml.merges')!.at(0)).toBe('Ġ t');
    expect(ggufNumbers(file, 'tokenizer.ggml.token_type')!.at(-1)).toBe(3);
    expect(ggufNumber(file, 'gpt2.block_count')).toBe(12);
    expect(ggufString(file, 'general.architecture')).toBe('gpt2');
    expect(ggufBool(file, 'tokenizer.ggml.add_bos_token')).toBeUndefined();
    expect(() => ggufNumber(file, 'general.architecture')).toThrow(code('gguf_invalid'));
    expect(() => ggufStrings(file, 'tokenizer.ggml.token_type')).toThrow(code('gguf_invalid'));
    expect(() => ggufNumbers(file, 'tokenizer.ggml.tokens')).toThrow(code('gguf_invalid'));
    expect(() => ggufString(file, 'gpt2.block_count')).toThrow(code('gguf_invalid'));
    expect(() => ggufBool(file, 'gpt2.block_count')).toThrow(code('gguf_invalid'));
    file.close();
  });
});

describe('gguf', () => {
  it('gives back every type of value and of tensor', () => {
    const kernels = createReferenceKernels();
    const quantized = QUANTIZABLE.map((type) => ({
      name: `${type}.weight`,
      type,
      shape: [2, 3, 512],
      parts: () => quantizeParts([values(512), values(1024), values(1536)], type, 'x', kernels),
    }));
    const numbers = [
      { name: 'i8', type: 'I8', shape: [3], parts: () => [Uint8Array.of(1, 2, 255)] },
      {
        name: 'i64',
        type: 'I64',
        shape: [1],
        parts: () => [raw(new Uint8Array(BigInt64Array.of(-5n).buffer))],
      },
      { name: 'scalar', type: 'F32', shape: [], parts: () => [raw(Float32Array.of(7))] },
      { name: 'none', type: 'F32', shape: [0, 4], parts: () => [] },
      { name: '__proto__', type: 'IQ4_NL', shape: [1, 32], parts: () => [new Uint8Array(18).fill(3)] },
    ] as const satisfies GgufTensorToWrite[];
    expect(writeGguf(path, { metadata: EVERY_TYPE, tensors: [...quantized, ...numbers] })).toEqual([path]);
    expect(readdirSync(dir)).toEqual(['model.gguf']);

    const file = openGguf(path);
    expect(file.version).toBe(3);
    expect(plain(file.metadata)).toEqual(plain(EVERY_TYPE));
    expect([...file.tensors.keys()]).toEqual([...quantized, ...numbers].map((each) => each.name));
    const all = Float32Array.from([512, 1024, 1536].flatMap((length) => [...values(length)]));
    for (const { name, type, shape } of quantized) {
      expect(file.tensors.get(name)).toMatchObject({ name, type, shape, sizeBytes: blockBytes(type, 3072) });
      const [stored, expected] = [new Uint8Array(blockBytes(type, 3072)), new Float32Array(3072)];
      kernels.quantizeBlocks(stored, all, type);
      kernels.dequantizeBlocks(expected, stored, type);
      expect(Buffer.from(file.readBytes(name)).equals(stored), name).toBe(true);
      expect(file.read(name), name).toEqual(expected);
      expect(file.readRange(name, 2, 5), name).toEqual(expected.subarray(1024, 2560));
      expect(file.readBytes(name, 5, 6)).toEqual(stored.subarray((stored.length / 6) * 5));
    }
    expect([...file.read('i8'), ...file.read('i64'), ...file.read('scalar')]).toEqual([1, 2, -1, -5, 7]);
    expect(file.read('none').length + file.readRange('none', 0, 0).length).toBe(0);
    expect(file.readBytes('__proto__')).toEqual(new Uint8Array(18).fill(3));
    expect(() => file.read('__proto__')).toThrow(code('gguf_type_unsupported'));
    expect(() => file.read('absent')).toThrow(code('checkpoint_mismatch'));
    expect(() => file.readRange('F32.weight', 5, 7)).toThrow(RangeError);
    file.close();
  });

  it('lays tensors out as ggml wants them, and as the parser of the Hub reads them', async () => {
    const metadata = new Map<string, GgufValue>([
      ...EVERY_TYPE,
      ['general.alignment', { type: 'u32', value: 64 }],
    ]);
    const tensors = [f32('a', [3]), f32('b', [2, 5]), f32('c', [1])];
    writeGguf(path, { metadata, tensors });
    const bytes = readFileSync(path);
    const file = openGguf(path);
    const offsets = [...file.tensors.values()].map((each) => each.byteOffset);
    file.close();
    expect(offsets.map((each) => each - offsets[0]!)).toEqual([0, 64, 128]);
    expect([offsets[0]! % 64, bytes.length]).toEqual([0, offsets[0]! + 192]);
    const { metadata: hub, tensorInfos } = await parseWithHub(path, { allowLocalFile: true });
    expect(tensorInfos.map(({ name, shape, dtype }) => [name, shape.map(Number), dtype])).toEqual([
      ['a', [3], TENSOR_TYPES.F32.id],
      ['b', [5, 2], TENSOR_TYPES.F32.id],
      ['c', [1], TENSOR_TYPES.F32.id],
    ]);
    expect(tensorInfos.map((each) => Number(each.offset))).toEqual([0, 64, 128]);
    expect(hub).toMatchObject({
      version: 3,
      i16: -32768,
      u64: 2n ** 64n - 1n,
      // It drops byte order marks.
      strings: ['', 'a', '', 'Ġü'],
      bools: [true, false, true],
    });
  });

  it('splits at a size, and opens any part as the whole', async () => {
    const tensors = Array.from({ length: 7 }, (_, i) => f32(`blk.${i}.weight`, [4, 64]));
    const paths = writeGguf(path, { metadata: EVERY_TYPE, tensors }, { shardBytes: 4096 });
    expect(paths.map((each) => each.slice(dir.length + 1))).toEqual(readdirSync(dir).sort());
    expect(paths.length).toBe(3);
    expect(paths[1]).toBe(join(dir, 'model-00002-of-00003.gguf'));
    for (const each of paths) {
      expect(readFileSync(each).length).toBeLessThanOrEqual(4096);
      const file = openGguf(each);
      expect(file.paths).toEqual(paths);
      expect(plain(file.metadata)).toEqual(plain(EVERY_TYPE));
      expect([...file.tensors.keys()]).toEqual(tensors.map((tensor) => tensor.name));
      expect(file.read('blk.6.weight')).toEqual(values(256));
      file.close();
    }
    const { metadata } = await parseWithHub(paths[2]!, { allowLocalFile: true });
    expect(metadata).toMatchObject({ 'split.no': 2, 'split.count': 3, 'split.tensors.count': 7 });
    const last = readFileSync(paths[2]!);
    rmSync(paths[2]!);
    expect(() => openGguf(paths[0]!)).toThrow(code('file_missing'));
    writeFileSync(paths[2]!, readFileSync(paths[1]!));
    expect(() => openGguf(paths[0]!)).toThrow(code('gguf_invalid'));
    writeFileSync(join(dir, 'renamed.gguf'), last);
    expect(() => openGguf(join(dir, 'renamed.gguf'))).toThrow(/not named like/);
  });

  it('leaves nothing behind when a tensor fails, and the old file as it was', () => {
    writeFileSync(path, 'old');
    const broken = {
      ...f32('b', [4]),
      parts: () => quantizeParts([Float32Array.of(1, Number.NaN)], 'F16', 'b'),
    };
    const write = (shardBytes?: number) => () =>
      writeGguf(path, { metadata: new Map(), tensors: [f32('a', [4]), broken] }, { shardBytes });
    expect(write()).toThrow(code('weights_not_representable'));
    expect(write(1)).toThrow(/Weight 1 of "b" is NaN/);
    expect(readdirSync(dir)).toEqual(['model.gguf']);
    expect(readFileSync(path, 'utf8')).toBe('old');
  });

  it.each<[string, Partial<GgufTensorToWrite>]>([
    ['a name of 64 bytes', { name: 'ä'.repeat(32) }],
    ['five dimensions', { shape: [1, 1, 1, 1, 32] }],
    ['rows that are no whole blocks', { type: 'Q8_0', shape: [32, 33] }],
  ])('refuses to write %s', (_, change) => {
    const tensor = { ...f32('a', [32]), ...change };
    expect(() => writeGguf(path, { metadata: new Map(), tensors: [tensor] })).toThrow(
      code('gguf_not_representable'),
    );
    expect(readdirSync(dir)).toEqual([]);
  });
});
