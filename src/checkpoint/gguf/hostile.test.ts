/** Headers that lie: each is refused with a code, before memory is taken for what it promises. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ByteWriter } from './byte-writer.ts';
import { MAX_HEADER_BYTES } from './header-cursor.ts';
import { openGguf } from './reader.ts';
import { VALUE_TYPES } from './values.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-gguf-'));
  path = join(dir, 'model.gguf');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const refused = expect.objectContaining({ code: 'gguf_invalid' });
const MAGIC = 0x46554747;

/** Numbers of 64 bits as they stand, beyond 2^53 too. */
const u64 = (value: bigint) => new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, value)).buffer);

interface Tensor {
  readonly name?: string;
  readonly dims?: readonly bigint[];
  readonly type?: number;
  readonly offset?: bigint;
}

const describe64 = (writer: ByteWriter, { name = 'a', dims = [4n], type = 0, offset = 0n }: Tensor) => {
  writer.string(name).u32(dims.length);
  for (const each of dims) writer.raw(u64(each));
  writer.u32(type).raw(u64(offset));
};

interface Header {
  readonly version?: number;
  readonly keys?: (writer: ByteWriter) => void;
  readonly numKeys?: bigint;
  readonly tensors?: readonly Tensor[];
  readonly numTensors?: bigint;
  readonly data?: number;
}

function write({ version = 3, keys, numKeys, tensors = [], numTensors, data = 64 }: Header): Buffer {
  const writer = new ByteWriter().u32(MAGIC).u32(version);
  writer.raw(u64(numTensors ?? BigInt(tensors.length))).raw(u64(numKeys ?? (keys ? 1n : 0n)));
  keys?.(writer);
  for (const each of tensors) describe64(writer, each);
  writer.raw(new Uint8Array((32 - (writer.done().length % 32)) % 32)).raw(new Uint8Array(data));
  writeFileSync(path, writer.done());
  return writer.done();
}

const type = (name: keyof typeof VALUE_TYPES) => VALUE_TYPES[name];
/** One key "k" whose value is an array of `length` elements, none of which is there. */
const arrayOf = (of: number, length: bigint) => ({
  keys: (writer: ByteWriter) => writer.string('k').u32(type('array')).u32(of).raw(u64(length)),
});
const text = (length: bigint) => ({
  keys: (writer: ByteWriter) => writer.string('k').u32(type('string')).raw(u64(length)),
});

describe('a hostile GGUF file', () => {
  it('is opened where it is honest', () => {
    write({
      tensors: [
        { name: '__proto__' },
        { name: 'b', dims: [0n, 4n], offset: 32n },
        { name: 'c', dims: [8n, 1n], offset: 32n },
      ],
    });
    const file = openGguf(path);
    expect(
      [...file.tensors.values()].map(({ name, shape, byteOffset }) => [name, shape, byteOffset % 32]),
    ).toEqual([
      ['__proto__', [4], 0],
      ['b', [4, 0], 0],
      ['c', [1, 8], 0],
    ]);
    expect([...file.read('__proto__'), ...file.read('b')]).toEqual([0, 0, 0, 0]);
    file.close();
    write({ version: 2, tensors: [{}] });
    openGguf(path).close();
  });

  it.each<[string, Header]>([
    ['version 1', { version: 1 }],
    ['version 4', { version: 4 }],
    ['big endian', { version: 0x03000000 }],
    ['a negative number of tensors', { numTensors: -1n }],
    ['2^60 tensors', { numTensors: 2n ** 60n }],
    ['a million tensors', { numTensors: 1_000_000n }],
    ['more tensors than there are', { numTensors: 2n, tensors: [{}], data: 0 }],
    ['2^60 keys', { numKeys: 2n ** 60n }],
    ['more keys than there are', { numKeys: 9n }],
    ['a string of 2^60 bytes', text(2n ** 60n)],
    ['a string of -1 bytes', text(-1n)],
    ['a string longer than the file', text(4096n)],
    ['2^60 strings', arrayOf(type('string'), 2n ** 60n)],
    ['2^32 bytes', arrayOf(type('u8'), 2n ** 32n)],
    ['2^61 numbers of 8 bytes, 0 modulo 2^64', arrayOf(type('u64'), 2n ** 61n)],
    ['an array longer than the file', arrayOf(type('u32'), 4096n)],
    ['an array of arrays', arrayOf(type('array'), 1n)],
    ['an array of an unknown type', arrayOf(13, 0n)],
    ['a value of an unknown type', { keys: (w) => w.string('k').u32(99) }],
    ['a bool of 2', { keys: (w) => w.string('k').u32(type('bool')).raw(Uint8Array.of(2)) }],
    [
      'a list with a bool of 2',
      { keys: (w) => w.string('k').value({ type: 'array', of: 'bool', value: Uint8Array.of(1, 2) }) },
    ],
    ['an empty key', { keys: (w) => w.string('').value({ type: 'u8', value: 1 }) }],
    ['a key of 65,536 bytes', { keys: (w) => w.string('k'.repeat(65536)).value({ type: 'u8', value: 1 }) }],
    [
      'a key that is no UTF-8',
      { keys: (w) => w.u64(1).raw(Uint8Array.of(0xff)).value({ type: 'u8', value: 1 }) },
    ],
    [
      'a key twice',
      {
        numKeys: 2n,
        keys: (w) =>
          w.string('k').value({ type: 'u8', value: 1 }).string('k').value({ type: 'u8', value: 1 }),
      },
    ],
    ...[0, 3, 33].map((value): [string, Header] => [
      `an alignment of ${value}`,
      { keys: (w) => w.string('general.alignment').value({ type: 'u32', value }) },
    ]),
    [
      'an alignment of another type',
      { keys: (w) => w.string('general.alignment').value({ type: 'u64', value: 32n }) },
    ],
    ['a name of 64 bytes', { tensors: [{ name: 'n'.repeat(64) }] }],
    ['a name twice', { tensors: [{}, { offset: 32n }] }],
    ['five dimensions', { tensors: [{ dims: [1n, 1n, 1n, 1n, 1n] }] }],
    ['2^32 - 1 dimensions', { tensors: [{ dims: [] }], keys: undefined }],
    ['a negative dimension', { tensors: [{ dims: [-4n] }] }],
    ['2^60 elements', { tensors: [{ dims: [2n ** 60n] }] }],
    ['2^52 elements', { tensors: [{ dims: [2n ** 52n] }] }],
    ['2^64 elements in all', { tensors: [{ dims: [2n ** 32n, 2n ** 32n] }] }],
    ['2^64 elements hidden by a 0', { tensors: [{ dims: [0n, 2n ** 40n, 2n ** 40n] }] }],
    ['an unknown type of tensor', { tensors: [{ type: 1000 }] }],
    ['a removed type of tensor', { tensors: [{ type: 4 }] }],
    ['rows that are no whole blocks', { tensors: [{ type: 8, dims: [33n, 32n] }] }],
    ['an offset at the end of the file', { tensors: [{ offset: 64n }] }],
    ['an offset of 2^63', { tensors: [{ offset: 2n ** 63n }] }],
    ['a hole', { tensors: [{}, { name: 'b', offset: 64n }] }],
    ['an overlap', { tensors: [{}, { name: 'b', offset: 0n }] }],
    ['the wrong order', { tensors: [{ offset: 32n }, { name: 'b', offset: 0n }] }],
    ['an offset that is not aligned', { tensors: [{ dims: [1n] }, { name: 'b', dims: [1n], offset: 4n }] }],
    ['data beyond the file', { tensors: [{ dims: [17n] }] }],
    ['no data at all', { tensors: [{}], data: 0 }],
  ])('with %s is refused', (what, header) => {
    const bytes = write(header);
    if (what === '2^32 - 1 dimensions') {
      bytes.writeUInt32LE(2 ** 32 - 1, bytes.indexOf('a') + 1);
      writeFileSync(path, bytes);
    }
    expect(() => openGguf(path)).toThrow(refused);
  });

  it('is refused cut short anywhere', () => {
    const keys = (writer: ByteWriter) =>
      writer.string('k').value({ type: 'array', of: 'string', value: ['a', 'bc'] });
    const whole = write({ keys, tensors: [{}], data: 16 });
    openGguf(path).close();
    for (let length = 0; length < whole.length; length++) {
      truncateSync(path, 0);
      writeFileSync(path, whole.subarray(0, length));
      expect(() => openGguf(path), `${length} bytes`).toThrow(refused);
    }
  });

  it('may not have a header larger than the limit, and takes no memory for it', () => {
    write(text(BigInt(MAX_HEADER_BYTES)));
    truncateSync(path, 2 * MAX_HEADER_BYTES);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => openGguf(path)).toThrow(/a header may have 100000000/);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8e6);
  });

  it('must be a file', () => {
    expect(() => openGguf(dir)).toThrow(expect.objectContaining({ code: 'file_missing' }));
    expect(() => openGguf(path)).toThrow(expect.objectContaining({ code: 'file_missing' }));
  });
});
