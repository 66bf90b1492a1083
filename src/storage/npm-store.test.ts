import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { integrityOf } from './integrity.ts';
import { ObjectCache } from './object-cache.ts';
import { openStore } from './open-store.ts';

let root: string;
let server: Server;
let registry: string;
let requests = 0;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-npm-store-'));
  mkdirSync(join(root, 'package', 'data'), { recursive: true });
  writeFileSync(join(root, 'package', 'package.json'), '{"name":"texts","version":"1.2.3"}');
  writeFileSync(join(root, 'package', 'data', 'a.txt'), 'one two');
  execFileSync('tar', ['czf', join(root, 'texts.tgz'), '-C', root, 'package']);
  const tarball = readFileSync(join(root, 'texts.tgz'));
  server = createServer((request, response) => {
    requests++;
    if (request.url !== '/texts') return void response.end(tarball);
    const dist = { tarball: `${registry}/texts/-/texts-1.2.3.tgz`, integrity: integrityOf(tarball) };
    const version = { name: 'texts', version: '1.2.3', dist };
    const body = { name: 'texts', 'dist-tags': { latest: '1.2.3' }, versions: { '1.2.3': version } };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(root, { recursive: true, force: true });
});

it('a package is a store that is only read, fetched once', async () => {
  const npm = { registry, cache: join(root, 'npm'), fetchRetries: 0 };
  const store = openStore('npm:texts@1.2.3', { npm, cacheDir: join(root, 'cache') });
  const [stat, whole, part] = await Promise.all([
    store.stat('data/a.txt'),
    store.read('data/a.txt'),
    store.read('data/a.txt', { range: { start: 4, end: 7 } }),
  ]);
  expect(stat.sizeBytes).toBe(7);
  expect([whole, part].map((bytes) => Buffer.from(bytes).toString())).toEqual(['one two', 'two']);
  expect(requests).toBe(2);
  const cache = new ObjectCache({ dir: join(root, 'objects'), limitBytes: 1000, download: { partBytes: 4 } });
  const cached = await cache.fetch(store, 'data/a.txt');
  expect(readFileSync(cached.path, 'utf8')).toBe('one two');
  cache.close();
  const keys: string[] = [];
  for await (const { key } of store.list!('data/')) keys.push(key);
  expect(keys).toEqual(['data/a.txt']);
  await expect(store.read('data/b.txt')).rejects.toMatchObject({ code: 'object_missing' });
  await expect(store.read('data/a.txt', { range: { start: 0, end: 8 } })).rejects.toMatchObject({
    code: 'object_corrupt',
  });
  await expect(store.write('data/a.txt', whole)).rejects.toMatchObject({ code: 'store_read_only' });
  expect(() => openStore('npm:texts@1.2.3#x')).toThrow(
    expect.objectContaining({ code: 'store_url_invalid' }),
  );
});
