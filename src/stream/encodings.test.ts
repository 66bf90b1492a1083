import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { encodingOf } from './encodings.ts';
import { MdsReader } from './mds-reader.ts';
import { MdsWriter } from './mds-writer.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-encodings-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const sampleInvalid = expect.objectContaining({ code: 'sample_invalid' });
const pixel = { width: 2, height: 1, mode: 'RGB', raw: bytes('010203 040506') };
const PIXEL_HEX = '02000000 01000000 03000000 524742 010203040506';

// The right-hand sides follow from the definition of the format.
it.each([
  ['jpeg', bytes('ffd8ff'), 'ffd8ff'],
  ['png', bytes('89504e47'), '89504e47'],
  ['pil', pixel, PIXEL_HEX],
  ['jpeg_array', [bytes('aa'), bytes('bbcc')], '02000000 01000000 02000000 aa bbcc'],
  ['jpegarray', [], '00000000'],
  ['list[png]', [bytes('aa'), bytes('')], '00000000 02000000 01000000 00000000 aa'],
  ['list[pil]', [pixel], `00000000 01000000 15000000 ${PIXEL_HEX}`],
  ['int16', -2, 'feff'],
  ['uint32', 4294967295, 'ffffffff'],
  ['int', -(2n ** 63n), '0000000000000080'],
  ['int64', -(2 ** 53 - 1), '010000000000e0ff'],
  ['uint64', 2n ** 64n - 1n, 'ffffffffffffffff'],
  ['str_decimal', '-Infinity', Buffer.from('-Infinity').toString('hex')],
])('%s: a value and back', (name, value, hex) => {
  const encoding = encodingOf(name)!;
  const encoded = encoding.encode(value, 'sample');
  expect(Buffer.from(encoded).toString('hex')).toBe(hex.replaceAll(' ', ''));
  expect(encoding.decode(bytes(hex))).toEqual(value);
});

it.each([
  ['pil', '02000000 01000000 ff000000 5247'],
  ['pil', '0200'],
  ['jpeg_array', '02000000 01000000'],
  ['jpeg_array', '01000000 02000000 aa'],
  ['jpeg_array', '01000000 01000000 aabb'],
  ['list[jpeg]', '01000000 00000000'],
  ['list[jpeg]', '00000000 ffffff3f'],
  ['list[pil]', '00000000 01000000 01000000 aa'],
  ['str', 'ff'],
  ['json', '7b'],
  ['str_int', '312e35'],
  ['ndarray', '08 04'],
  ['ndarray', '07 0401 01'],
  ['ndarray', '08 00 01'],
  ['ndarray:int32', '04 02 01000000'],
])('%s: %s is no value', (name, hex) => {
  expect(encodingOf(name)!.decode(bytes(hex))).toBeUndefined();
});

it.each([
  ['str', 'half \ud800'],
  ['str_decimal', 'one'],
  ['pil', { width: 1, height: 1, mode: 'L' }],
  ['list[jpeg]', ['text']],
  ['jpeg', 'text'],
  ['int8', 128],
  ['json', undefined],
  ['ndarray', new Int32Array(0)],
  ['ndarray', { dtype: 'int8', shape: [1.5, 2], data: new Int8Array(3) }],
])('%s refuses a value that is none', (name, value) => {
  expect(() => encodingOf(name)!.encode(value, 'sample')).toThrow(sampleInvalid);
});

it.each([
  'ndarray:int32:',
  'ndarray:int32:0',
  'ndarray:int32:1e3',
  'ndarray::3',
  'ndarray:bool',
  'list[str]',
  'pkl',
  'str:5',
  '',
])('knows no encoding "%s"', (name) => {
  expect(encodingOf(name)).toBeUndefined();
});

it('writes bytes as they are into any column, of the right size where that is fixed', () => {
  const columns = { json: 'json', n: 'int32', text: 'str' };
  const writer = new MdsWriter({ dir, columns });
  const raw = { json: Buffer.from('{"a":1.0}'), n: bytes('05000000'), text: Buffer.from('ä') };
  writer.write(raw);
  expect(() => writer.write({ ...raw, n: bytes('05') })).toThrow(sampleInvalid);
  writer.finish();
  const reader = new MdsReader(dir);
  expect(reader.read(0)).toEqual({ json: { a: 1 }, n: 5, text: 'ä' });
  expect(Buffer.from(reader.readRaw(0).json!).toString()).toBe('{"a":1.0}');
});

it('copies arrays into memory of the caller', () => {
  const columns = { a: 'str', flat: 'ndarray:int32', grid: 'ndarray:uint16:2,2', any: 'ndarray' };
  const writer = new MdsWriter({ dir, columns });
  const grid = { dtype: 'uint16', shape: [2, 2], data: Uint16Array.of(1, 2, 3, 4) } as const;
  for (let i = 0; i < 300; i++) {
    const wide = new Float64Array(i + 1).fill(i);
    writer.write({ a: 'x'.repeat(i % 7), flat: Int32Array.of(i, -i), grid, any: wide });
  }
  writer.finish();
  const reader = new MdsReader(dir, { verify: 'size' });
  const target = new Int32Array(new ArrayBuffer(44), 4, 8);
  expect(reader.readInto(299, 'flat', target, 6)).toBe(2);
  expect(reader.readInto(7, 'flat', target, 3)).toBe(2);
  expect([...target]).toEqual([0, 0, 0, 7, -7, 0, 299, -299]);
  expect(reader.readInto(7, 'flat', target, 7)).toBe(2);
  expect(target[7]).toBe(-299);
  const shorts = new Uint16Array(4);
  expect(reader.readInto(0, 'grid', shorts)).toBe(4);
  expect([...shorts]).toEqual([1, 2, 3, 4]);
  const doubles = new Float64Array(300);
  expect(reader.readInto(256, 'any', doubles)).toBe(257);
  expect(doubles[256]).toBe(256);
  const corrupt = expect.objectContaining({ code: 'shard_corrupt' });
  expect(() => reader.readInto(0, 'flat', doubles)).toThrow(corrupt);
  expect(() => reader.readInto(0, 'a', target)).toThrow(corrupt);
  expect(() => reader.readInto(0, 'missing', target)).toThrow(corrupt);
});
