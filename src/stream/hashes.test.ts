import { expect, it } from 'vitest';
import { checkableHash, hashBytes, isKnownHash, knownHashes } from './hashes.ts';

// Computed by Python's hashlib and xxhash on b'dabarex xxhash vectors ' * 40, and on nothing.
const TEXT = Buffer.from('dabarex xxhash vectors '.repeat(40));
const STARTS = {
  xxh32: '9be0c330',
  xxh64: 'affea4b3a6ec1c03',
  xxh3_64: 'd602253e9155944a',
  xxh3_128: 'e9dedef78e0d2f11d602253e9155944a',
  xxh128: 'e9dedef78e0d2f11d602253e9155944a',
  blake2b: '101eaef9a67cd1c4',
  blake2s: 'c2c4ad7cfaa316b6',
  md5: 'db5703520e6203f9',
  'md5-sha1': 'db5703520e6203f9',
  ripemd160: '69cd2f7e12604498',
  sha1: 'e5b85a8dccf6c741',
  sha224: '96bc20bd260e69cb',
  sha256: '3835e1ea6036ecc1',
  sha384: '674bf19d5ad9cc19',
  sha3_224: '2da926a48ccc5a65',
  sha3_256: 'f7aaa0ec755abb23',
  sha3_384: '1e909823fbb1021c',
  sha3_512: '896aef3e76fe626e',
  sha512: '75f104c0ea2194b9',
  sha512_224: 'ecc92fd3708d0ac9',
  sha512_256: '4a4d7d1ac732521d',
  sm3: 'da7a899d02605007',
};
const EMPTY = {
  xxh32: '02cc5d05',
  xxh64: 'ef46db3751d8e999',
  xxh3_64: '2d06800538d394c2',
  xxh128: '99aa06d3014798d86001c324468d497f',
};

it.each(Object.entries(STARTS))('%s of a text in two parts is as in Python', (name, start) => {
  const digest = hashBytes(name, [TEXT.subarray(0, 33), TEXT.subarray(33)])!;
  expect(digest.slice(0, start.length)).toBe(start);
  expect(hashBytes(name, [TEXT])).toBe(digest);
});

it.each(Object.entries(EMPTY))('%s of nothing is as in Python', (name, digest) => {
  expect(hashBytes(name, [])).toBe(digest);
});

it('knows what it lists, and nothing whose length is not fixed', () => {
  expect(knownHashes().sort()).toEqual(Object.keys(STARTS).sort());
  for (const name of ['crc32', 'shake_128', '', 'constructor']) {
    expect(isKnownHash(name)).toBe(false);
    expect(hashBytes(name, [])).toBeUndefined();
  }
});

it('checks the cheapest digest', () => {
  expect(checkableHash({ sm3: 'a', sha1: 'b', xxh64: 'c' })).toEqual(['xxh64', 'c']);
  expect(checkableHash({ sha3_256: 'a', unheard: 'b' })).toEqual(['sha3_256', 'a']);
  expect(checkableHash({ unheard: 'b' })).toBeUndefined();
});
