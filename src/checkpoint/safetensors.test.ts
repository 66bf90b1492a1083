import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkTensors, shapesOf } from './compare.ts';
import { readSafetensors, writeSafetensors } from './safetensors.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-safetensors-'));
  path = join(dir, 'a.safetensors');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('safetensors', () => {
  it('writes the layout of the specification', () => {
    writeSafetensors(path, [
      { name: 'b', dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) },
      { name: 'a', dtype: 'F32', shape: [1, 2], data: Float32Array.of(1, -2) },
    ]);
    const bytes = readFileSync(path);
    const json =
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}';
    const padded = Math.ceil(json.length / 8) * 8;
    expect(Number(bytes.readBigUInt64LE())).toBe(padded);
    expect(bytes.subarray(8, 8 + padded).toString()).toBe(json.padEnd(padded));
    expect(bytes.subarray(8 + padded).toString('hex')).toBe(`0000803f000000c0${'010203'}`);
  });

  it('gives back every dtype, empty and scalar shapes, and hostile names', () => {
    const tensors = [
      { name: '__proto__', dtype: 'F32', shape: [2], data: Float32Array.of(1.5, -0) },
      { name: 'constructor', dtype: 'I32', shape: [], data: Int32Array.of(-7) },
      { name: 'naïve 🤖', dtype: 'U8', shape: [0, 5], data: new Uint8Array() },
      { name: 'i64', dtype: 'I64', shape: [1], data: BigInt64Array.of(-(2n ** 62n)) },
      { name: 'u16', dtype: 'U16', shape: [1], data: Uint16Array.of(65535) },
      { name: 'f64', dtype: 'F64', shape: [1], data: Float64Array.of(Math.PI) },
    ] as const;
    writeSafetensors(path, tensors, { format: 'pt', note: 'x' });
    const file = readSafetensors(path);
    expect(file.metadata).toEqual({ format: 'pt', note: 'x' });
    expect([...file.tensors.keys()].sort()).toEqual(tensors.map((each) => each.name).sort());
    for (const { name, dtype, shape, data } of tensors) {
      expect(file.tensors.get(name)).toMatchObject({ dtype, shape });
      expect(file.readData(name)).toEqual(data);
    }
    expect(file.read('f64')).toEqual(Float32Array.of(Math.PI));
    file.close();
  });

  it('rounds to 16-bit floats and reads them back as float32', () => {
    const values = Float32Array.of(1, 1 + 2 ** -9, -3.1411, 65504, 1e-8);
    writeSafetensors(path, [
      { name: 'bf16', dtype: 'BF16', shape: [5], data: () => values },
      { name: 'f16', dtype: 'F16', shape: [5], data: () => values },
    ]);
    const file = readSafetensors(path);
    expect([...file.read('bf16')]).toEqual([1, 1, -3.140625, 65536, 1.0011717677116394e-8]);
    expect([...file.read('f16')]).toEqual([1, 1 + 2 ** -9, -3.140625, 65504, 0]);
    expect(() => file.read('none')).toThrow(code('checkpoint_mismatch'));
    file.close();
  });

  it('reads values and bytes from the midst, and writes tensors in parts', () => {
    const values = Float32Array.from({ length: 12 }, (_, i) => i - 6);
    const parts = function* () {
      yield values.subarray(0, 5);
      yield values.subarray(5);
    };
    writeSafetensors(path, [
      { name: 'f32', dtype: 'F32', shape: [3, 4], data: parts },
      { name: 'bf16', dtype: 'BF16', shape: [12], data: parts },
      { name: 'f16', dtype: 'F16', shape: [2, 6], data: parts },
      { name: 'i64', dtype: 'I64', shape: [3], data: BigInt64Array.of(1n, -2n, 3n) },
    ]);
    const file = readSafetensors(path);
    for (const name of ['f32', 'bf16', 'f16']) {
      expect(file.readRange(name, 4, 9), name).toEqual(values.subarray(4, 9));
      expect(file.readRange(name, 12, 12), name).toEqual(new Float32Array());
    }
    expect([...file.readRange('i64', 1, 3)]).toEqual([-2, 3]);
    expect(file.readBytes('bf16', 4, 6)).toEqual(Uint8Array.of(0, 0xc0, 0x80, 0xbf));
    expect(file.readBytes('f32').length).toBe(48);
    expect(() => file.readRange('f32', 9, 13)).toThrow(RangeError);
    file.close();
    const short = { name: 'a', dtype: 'F32', shape: [12], data: () => [values.subarray(0, 5)] } as const;
    expect(() => writeSafetensors(path, [short])).toThrow(/fills/);
  });

  const raw = (header: string | object, data = new Uint8Array(), length?: bigint) => {
    const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(length ?? BigInt(json.length));
    writeFileSync(path, Buffer.concat([size, json, data]));
  };
  const four = new Uint8Array(4);
  const tensor = (start: number, end: number, rest: object = {}) => ({
    dtype: 'U8',
    shape: [end - start],
    data_offsets: [start, end],
    ...rest,
  });

  it.each<[string, string | object, bigint?]>([
    ['a header longer than the file', {}, 1000n],
    ['a header length beyond 2^53', {}, 2n ** 63n],
    ['a header that is no JSON', '{"a":'],
    ['a header that is no object', '[]'],
    ['a header with leading space', ' {}'],
    ['an unknown dtype', { a: tensor(0, 4, { dtype: 'F128' }) }],
    ['a dtype named like a property of Object', { a: tensor(0, 4, { dtype: 'toString' }) }],
    ['a negative dimension', { a: tensor(0, 4, { shape: [-4] }) }],
    ['a shape of another size', { a: tensor(0, 4, { shape: [5] }) }],
    ['offsets beyond the file', { a: tensor(0, 5) }],
    ['offsets backwards', { a: tensor(0, 4, { data_offsets: [4, 0] }) }],
    ['a hole', { a: tensor(0, 1), b: tensor(2, 4) }],
    ['an overlap', { a: tensor(0, 3), b: tensor(2, 4) }],
    ['bytes after the last tensor', { a: tensor(0, 3) }],
    ['a hole at the start', { a: tensor(1, 4) }],
    ['metadata that is no string', { __metadata__: { a: 1 }, a: tensor(0, 4) }],
  ])('refuses %s', (_, header, length) => {
    raw(header, four, length);
    expect(() => readSafetensors(path)).toThrow(code('safetensors_invalid'));
  });

  it('reads a minimal file and refuses it cut short anywhere', () => {
    raw({ a: tensor(0, 4) }, Uint8Array.of(1, 2, 3, 4));
    expect(readSafetensors(path).readData('a')).toEqual(Uint8Array.of(1, 2, 3, 4));
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      expect(() => readSafetensors(path), `${length} bytes`).toThrow(code('safetensors_invalid'));
    }
    expect(() => readSafetensors(join(dir, 'none'))).toThrow(code('file_missing'));
  });

  it('names the differences to another architecture', () => {
    raw({ a: tensor(0, 2), c: tensor(2, 4) }, four);
    const file = readSafetensors(path);
    const shapes = (entries: [string, number[]][]) => new Map(entries);
    checkTensors(file.path, shapesOf(file.tensors), shapes([['a', [2]], ['c', [2]]])); // biome-ignore format: one line
    const compare = () => checkTensors(file.path, shapesOf(file.tensors), shapes([['a', [1, 2]], ['b', [2]]])); // biome-ignore format: one line
    expect(compare).toThrow(code('checkpoint_mismatch'));
    expect(compare).toThrow(/a is \[2\], the model wants \[1,2\]; b is missing; c is not in the model/);
  });
});
