import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openHfFolder, writeHfFolder } from './hf-folder.ts';
import { writeSafetensors } from './safetensors.ts';

let root: string;
let dir: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-hf-'));
  dir = join(root, 'model');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const code = (expected: string) => expect.objectContaining({ code: expected });
const tensor = (name: string, length = 4) =>
  ({
    name,
    dtype: 'F32',
    shape: [length],
    data: () => Float32Array.from({ length }, (_, i) => i + name.length),
  }) as const;
const files = new Map([['config.json', '{}\n']]);
const INDEX = 'model.safetensors.index.json';

describe('a folder of Hugging Face', () => {
  it('is written as one file, and read', () => {
    const checksums = writeHfFolder(dir, { tensors: [tensor('b'), tensor('__proto__')], files });
    expect(readdirSync(dir).sort()).toEqual(['config.json', 'model.safetensors']);
    expect(readdirSync(root)).toEqual(['model']);
    expect(Object.keys(checksums)).toEqual(['model.safetensors']);
    const folder = openHfFolder(dir);
    expect([...folder.tensors.keys()].sort()).toEqual(['__proto__', 'b']);
    expect([...folder.read('__proto__')]).toEqual([9, 10, 11, 12]);
    folder.close();
  });

  it('is cut into shards of at most a size, named and indexed as the Hub does', () => {
    const tensors = [tensor('c', 8), tensor('a', 4), tensor('bb', 20), tensor('__proto__', 2)];
    const checksums = writeHfFolder(dir, { tensors, files }, { shardBytes: 48 });
    const shards = [1, 2, 3].map((i) => `model-0000${i}-of-00003.safetensors`);
    expect(readdirSync(dir).sort()).toEqual(['config.json', ...shards, INDEX]);
    expect(Object.keys(checksums)).toEqual(shards);
    expect(readFileSync(join(dir, INDEX), 'utf8')).toBe(
      `{\n  "metadata": {\n    "total_size": 136\n  },\n  "weight_map": {\n    "__proto__": "${shards[2]}",\n    "a": "${shards[0]}",\n    "bb": "${shards[1]}",\n    "c": "${shards[0]}"\n  }\n}\n`,
    );
    const folder = openHfFolder(dir);
    expect(folder.files).toEqual(shards.map((each) => join(dir, each)));
    for (const { name, data, shape } of tensors) {
      expect(folder.tensors.get(name)).toMatchObject({ dtype: 'F32', shape });
      expect(folder.read(name)).toEqual(data());
      expect(folder.readData(name)).toEqual(data());
      expect(folder.readRange(name, 1, 2)).toEqual(data().subarray(1, 2));
      expect(folder.readBytes(name, 0, 1).length).toBe(4);
    }
    expect(() => folder.read('none')).toThrow(code('checkpoint_mismatch'));
    folder.close();
  });

  it('appears whole or not at all, and is not overwritten unasked', () => {
    const broken = { ...tensor('b'), data: () => new Float32Array(3) };
    expect(() => writeHfFolder(dir, { tensors: [tensor('a'), broken], files }, { shardBytes: 16 })).toThrow();
    expect(readdirSync(root)).toEqual([]);
    mkdirSync(dir);
    writeHfFolder(dir, { tensors: [tensor('a')], files });
    const again = (replace: boolean) => writeHfFolder(dir, { tensors: [tensor('new')], files }, { replace });
    expect(() => again(false)).toThrow(code('path_unusable'));
    expect(openHfFolder(dir).tensors.has('a')).toBe(true);
    again(true);
    expect([...openHfFolder(dir).tensors.keys()]).toEqual(['new']);
    expect(readdirSync(root)).toEqual(['model']);
  });

  describe('with an index', () => {
    const [one, two] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    beforeEach(() => {
      mkdirSync(dir);
      writeSafetensors(join(dir, one), [tensor('a'), tensor('both')]);
      writeSafetensors(join(dir, two), [tensor('b'), tensor('both'), tensor('unlisted')]);
      writeSafetensors(join(root, 'outside.safetensors'), [tensor('a')]);
      writeSafetensors(join(dir, '.hidden.safetensors'), [tensor('a')]);
    });
    const index = (weightMap: unknown) =>
      writeFileSync(join(dir, INDEX), JSON.stringify({ weight_map: weightMap }));

    it('holds what the index lists', () => {
      index({ a: one, b: two });
      const folder = openHfFolder(dir);
      expect([...folder.tensors.keys()]).toEqual(['a', 'b']);
      folder.close();
    });

    it.each<[string, unknown]>([
      ['names a file outside', { a: '../outside.safetensors' }],
      ['names an absolute path', { a: '/etc/passwd' }],
      ['names a path of Windows', { a: '..\\outside.safetensors' }],
      ['names a drive', { a: 'C:outside.safetensors' }],
      ['names a hidden file', { a: '.hidden.safetensors' }],
      ['names a file with a zero byte', { a: `${one}\0.safetensors` }],
      ['names no safetensors file', { a: 'config.json' }],
      ['names no string', { a: 1 }],
      ['puts a tensor where it is not', { a: two }],
      ['lists a tensor that two files hold', { a: one, both: one, b: two }],
      ['has a list for a map', [one]],
      ['has no map', undefined],
    ])('that %s is refused', (_, weightMap) => {
      index(weightMap);
      expect(() => openHfFolder(dir)).toThrow(code('checkpoint_index_invalid'));
    });

    it('that is no JSON, or names a shard that is missing or broken, is refused', () => {
      writeFileSync(join(dir, INDEX), '{');
      expect(() => openHfFolder(dir)).toThrow(code('checkpoint_index_invalid'));
      index({ a: 'gone.safetensors' });
      expect(() => openHfFolder(dir)).toThrow(code('file_missing'));
      index({ a: one, b: two });
      writeFileSync(join(dir, two), 'broken');
      expect(() => openHfFolder(dir)).toThrow(code('safetensors_invalid'));
      expect(() => openHfFolder(root)).toThrow(code('file_missing'));
    });
  });
});
