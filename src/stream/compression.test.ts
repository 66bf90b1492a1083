import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { compressionOf, unpack } from './compression.ts';

/** Words from a small alphabet, as bytes a compressor has something to do with. */
function sample(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 7;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 28 === 0 ? 32 : 97 + ((state >>> 24) % 6);
  }
  return bytes;
}

const SPECS = ['zstd', 'zstd:1', 'gz', 'gz:0', 'gz:1', 'bz2', 'bz2:1', 'br:5', 'snappy'];
const code = (expected: string) => expect.objectContaining({ code: expected });

it.each(SPECS)('%s gives back what it was given, of any length', (spec) => {
  const { pack } = compressionOf(spec)!;
  for (const length of [1, 2, 1000, 100_000]) {
    const bytes = sample(length);
    const back = unpack(spec, pack(bytes), length, 'shard');
    expect(Buffer.from(back).equals(bytes)).toBe(true);
    expect(back.constructor).toBe(Uint8Array);
  }
});

it.each(SPECS)('%s: what is cut off, damaged or larger than stated is refused', (spec) => {
  const bytes = sample(5000);
  const packed = compressionOf(spec)!.pack(bytes);
  const refused = (data: Uint8Array, size = bytes.length) => {
    let back: Uint8Array | undefined;
    try {
      back = unpack(spec, data, size, 'shard');
    } catch (error) {
      expect(error).toEqual(code('shard_corrupt'));
    }
    return back;
  };
  expect(refused(packed, bytes.length - 1)).toBeUndefined();
  expect(refused(packed, bytes.length + 1)).toBeUndefined();
  expect(refused(packed, 0)).toBeUndefined();
  for (let cut = 0; cut < packed.length; cut += 397) {
    expect(refused(packed.subarray(0, cut)), `cut to ${cut}`).toBeUndefined();
  }
  for (let at = 0; at < packed.length; at += 211) {
    const bad = packed.slice();
    bad[at]! ^= 1 << (at % 8);
    const back = refused(bad);
    // Some have no checksum: another content of the stated size is the index's digest to notice.
    if (back) expect(back.length).toBe(bytes.length);
  }
});

it.each(['zstd', 'gz:1', 'bz2:1', 'br:1', 'snappy'])(
  '%s: a bomb is stopped at the size the index states',
  (spec) => {
    const bomb = compressionOf(spec)!.pack(new Uint8Array(1 << 26));
    const before = process.memoryUsage();
    expect(() => unpack(spec, bomb, 1000, 'shard')).toThrow(code('shard_corrupt'));
    const { arrayBuffers, external } = process.memoryUsage();
    expect(arrayBuffers - before.arrayBuffers + external - before.external).toBeLessThan(1 << 25);
  },
);

it('knows names and levels, and nothing else', () => {
  for (const spec of [
    'lz4',
    'zstd:0',
    'zstd:23',
    'gz:10',
    'br:12',
    'bz2:0',
    'snappy:1',
    'zstd:3:4',
    'zstd:',
    '',
    'toString',
  ]) {
    expect(compressionOf(spec), spec).toBeUndefined();
  }
  expect(compressionOf('zstd:7')).toMatchObject({ spec: 'zstd:7', extension: 'zstd' });
  expect(() => unpack('lz4', new Uint8Array(3), 5, 'shard')).toThrow(code('shard_compression_unsupported'));
});

it('reads gzip of several members, as gzip joins them', () => {
  const packed = Buffer.concat([gzipSync('ab'), gzipSync('cd')]);
  expect(Buffer.from(unpack('gz', packed, 4, 'shard')).toString()).toBe('abcd');
});

// What the libraries of Python 3.11 made of the same bytes (python-zstd 1.5.2 on libzstd 1.5.4, zlib 1.2.13, bzip2 1.0.8, brotli
// 1.0.9, libsnappy 1.1.9). The higher levels of zstd changed between its versions.
const IN_PYTHON: Record<string, string> = {
  'zstd:1': 'a1681ee087f1ae2d707cd9cc667f20e4f279b81f',
  'zstd:3': '69bb0790f18e04bd8ae2a55dea2acef833f145a1',
  'gz:1': 'c65cffad2ea2c8069f2b4ca34539ed598c35a611',
  'gz:6': 'c8537febee73e041a39b31d193499a3277081cb9',
  'gz:9': '17530c576dbbd3afea191987b9d8ec25fbea177e',
  'bz2:1': '720d0d43e5eec9146b5dffc8f03cf0eb0bc11157',
  'bz2:9': 'efc309f175229939a02cda0c2572029aec7763d8',
  'br:0': 'a28bf4736340dd5c12f99e8df97d92f1f0fc99b2',
  'br:1': 'efb129160a8496eca698285ad77548b3529d3520',
  'br:5': 'd63e9ab1d77f5da3b70d3bcb0c8478eabb04749b',
  'br:9': 'f94d039ae252ce3f4e4b027cc757bba3ceeab2d6',
  'br:11': 'd28ae01897739058358d40ba0256409d877e3abf',
  snappy: 'd744a69576ccc64f8658953c8e917fdafcf50aed',
};
it.each(Object.entries(IN_PYTHON))("%s makes the bytes of Python's library", (spec, digest) => {
  const packed = compressionOf(spec)!.pack(sample(100_000), { gzipTimeSeconds: 1_795_449_437 });
  expect(createHash('sha1').update(packed).digest('hex')).toBe(digest);
});
