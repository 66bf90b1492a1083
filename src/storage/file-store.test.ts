import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MemorySink } from './object-store.ts';
import { openStore } from './open-store.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-file-store-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

it('a folder is a store: read in ranges, written whole, listed in order', async () => {
  const store = openStore('sub', { baseDir: root });
  expect(store.url).toBe(`file://${root}/sub`);
  for (const key of ['b', 'a/2', 'a/1']) await store.write(key, Buffer.from(`<${key}>`));
  expect(readFileSync(join(root, 'sub/a/1'), 'utf8')).toBe('<a/1>');
  expect(readdirSync(join(root, 'sub/a'))).toEqual(['1', '2']);
  const keys: string[] = [];
  for await (const { key } of store.list!('a')) keys.push(key);
  expect(keys).toEqual(['a/1', 'a/2']);
  const part = await store.read('a/1', { range: { start: 1, end: 4 } });
  expect(Buffer.from(part).toString()).toBe('a/1');
  const sink = new MemorySink();
  const { etag, sizeBytes } = await store.readInto('a/1', sink, { range: { start: 3, end: 100 } });
  expect([Buffer.from(sink.bytes()).toString(), sizeBytes]).toEqual(['1>', 5]);
  writeFileSync(join(root, 'sub/a/1'), 'another');
  await expect(store.readInto('a/1', sink, { etag })).rejects.toMatchObject({ code: 'object_changed' });
});

it('tells what is not there, not whole, or no file', async () => {
  const store = openStore(`file:${root}/other`);
  mkdirSync(join(root, 'other/folder'), { recursive: true });
  writeFileSync(join(root, 'other/x'), 'abc');
  await expect(store.read('absent')).rejects.toMatchObject({ code: 'object_missing' });
  await expect(store.stat('folder')).rejects.toMatchObject({ code: 'object_missing' });
  await expect(store.read('x', { range: { start: 2, end: 4 } })).rejects.toMatchObject({
    code: 'object_corrupt',
  });
  await expect(store.write('x/y', Buffer.from(''))).rejects.toMatchObject({ code: 'path_unusable' });
  await expect(store.read('../secret')).rejects.toMatchObject({ code: 'object_key_invalid' });
});
