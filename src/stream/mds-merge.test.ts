import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { mergeMdsIndexes } from './mds-merge.ts';
import { MdsReader } from './mds-reader.ts';
import { MdsWriter } from './mds-writer.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-merge-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(path: string, numbers: readonly number[], compression: string | null = null): void {
  const writer = new MdsWriter({
    dir: path,
    columns: { n: 'int' },
    sizeLimit: 220,
    hashes: ['sha1'],
    compression,
  });
  for (const n of numbers) writer.write({ n });
  writer.finish();
}

const numbers = () => [...new MdsReader(dir)].map((each) => each.n);
const code = (expected: string) => expect.objectContaining({ code: expected });

it('puts the shards of all subfolders, or of those named in their order, under one index', () => {
  write(join(dir, 'b'), [1, 2, 3]);
  write(join(dir, 'a'), [4, 5], 'zstd');
  mkdirSync(join(dir, 'other'));
  expect(mergeMdsIndexes(dir)).toMatchObject({ numIndexes: 2, numSamples: 5 });
  expect(numbers()).toEqual([4, 5, 1, 2, 3]);
  mergeMdsIndexes(dir, [join(dir, 'b', 'index.json'), join(dir, 'a')]);
  expect(numbers()).toEqual([1, 2, 3, 4, 5]);
  const text = readFileSync(join(dir, 'index.json'), 'utf8');
  expect(text.startsWith('{"version": 2, "shards": [{"column_encodings": ["int"], "column_names"')).toBe(
    true,
  );
  expect(text).toContain('"zip_data": {"basename": "a/shard.00000.mds.zstd"');
  const own = JSON.parse(readFileSync(join(dir, 'b', 'index.json'), 'utf8')).shards[0];
  own.raw_data.basename = 'b/shard.00000.mds';
  expect(JSON.parse(text).shards[0]).toEqual(own);
});

it('refuses to merge nothing, what is no index, and folders of one name', () => {
  expect(() => mergeMdsIndexes(dir)).toThrow(code('config_invalid'));
  expect(() => mergeMdsIndexes(join(dir, 'absent'))).toThrow(code('file_missing'));
  write(join(dir, 'a'), [1]);
  write(join(dir, 'deep', 'a'), [1]);
  expect(() => mergeMdsIndexes(dir, [join(dir, 'a'), join(dir, 'deep', 'a')])).toThrow(
    code('config_invalid'),
  );
  expect(() => mergeMdsIndexes(dir, [join(dir, 'a'), join(dir, 'c')])).toThrow(code('shard_index_invalid'));
  expect(() => new MdsReader(dir)).toThrow(code('shard_index_invalid'));
});
