import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { S3Server } from '../../tests/s3/server.ts';
import { fetchSource, type SourceRequest } from './source.ts';

let server: S3Server;
let root: string;
let cacheDir: string;

beforeAll(async () => {
  server = await S3Server.start({ maxKeys: 2 });
  root = mkdtempSync(join(tmpdir(), 'dabarex-s3-source-'));
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  cacheDir = mkdtempSync(join(root, 'cache-'));
  for (const [path, text] of Object.entries(FILES)) server.put(`texts/${path}`, text);
});
afterEach(() => {
  server.faults.clear();
  server.requests.length = 0;
  for (const key of ['texts/new.txt', 'texts/']) server.remove(key);
});

const FILES = { 'a.txt': 'one', 'b/c.txt': 'two', 'b/d.md': 'three', 'b/é.txt': 'four', 'b.txt': 'five' };

async function read(request: SourceRequest, warn?: (message: string) => void) {
  const limits = { retry: { maxAttempts: 2, baseDelayMs: 1 } };
  const source = await fetchSource(request, { cacheDir, store: { s3: server.s3, limits }, warn });
  const texts: Record<string, string> = {};
  for await (const { path, bytes } of source.files) texts[path] = Buffer.from(bytes).toString();
  return { ...source, texts };
}

describe('text in a bucket', () => {
  const url = 's3://data/texts#**/*.txt';
  const expected = { 'a.txt': 'one', 'b.txt': 'five', 'b/c.txt': 'two', 'b/é.txt': 'four' };

  it('is what a folder with the same files is, its hash too', async () => {
    server.put('texts/', '');
    const found = await read({ url });
    expect(found.texts).toEqual(expected);
    for (const [path, text] of Object.entries(FILES)) {
      mkdirSync(join(root, 'folder', 'b'), { recursive: true });
      writeFileSync(join(root, 'folder', path), text);
    }
    const folder = await fetchSource({ url: `file:${join(root, 'folder')}#**/*.txt` }, { cacheDir });
    expect(found.integrity).toBe(folder.integrity);
  });

  it('is fetched once, and again where an object has changed', async () => {
    const first = await read({ url });
    expect(server.count('GET', /texts\/./)).toBe(4);
    await read({ url });
    expect(server.count('GET', /texts\/./)).toBe(4);
    server.put('texts/new.txt', 'six');
    expect((await read({ url })).texts).toEqual({ ...expected, 'new.txt': 'six' });
    expect(server.count('GET', /texts\/./)).toBe(5);
    await expect(
      read({ url: `${url}`, integrity: `sha512-${Buffer.alloc(64).toString('base64')}` }),
    ).rejects.toMatchObject({ code: 'source_hash_mismatch' });
    server.requests.length = 0;
    const pinned = await read({ url, integrity: first.integrity });
    expect(pinned).toMatchObject({ texts: expected, fromCache: true });
    expect(server.requests).toEqual([]);
  });

  it('is taken from the cache, with a warning, when the store cannot be reached', async () => {
    await read({ url });
    server.faults.add({ kind: 'error' });
    const warnings: string[] = [];
    expect(await read({ url }, (message) => warnings.push(message))).toMatchObject({
      texts: expected,
      fromCache: true,
    });
    expect(warnings).toEqual([expect.stringContaining(url)]);
    cacheDir = mkdtempSync(join(root, 'cache-'));
    await expect(read({ url })).rejects.toMatchObject({ code: 'store_unreachable' });
  });

  it('may be one object; a damaged copy of it is not read', async () => {
    const one = 's3://data/texts/b/c.txt';
    expect((await read({ url: one })).texts).toEqual({ 'c.txt': 'two' });
    const kept = join(cacheDir, 'sources', 'sha512');
    for (const name of readdirSync(kept)) writeFileSync(join(kept, name), 'two!');
    await expect(read({ url: one })).rejects.toMatchObject({ code: 'source_hash_mismatch' });
    expect((await read({ url: one })).texts).toEqual({ 'c.txt': 'two' });
    await expect(read({ url: 's3://data/nothing' })).rejects.toMatchObject({ code: 'object_missing' });
    await expect(read({ url: 's3://data/texts#*.pdf' })).rejects.toMatchObject({ code: 'source_not_found' });
  });
});
