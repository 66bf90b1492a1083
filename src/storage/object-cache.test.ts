import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { S3Server } from '../../tests/s3/server.ts';
import { ObjectCache, type ObjectCacheOptions } from './object-cache.ts';
import type { ObjectStore } from './object-store.ts';
import { openStore } from './open-store.ts';

/** of which a hundred are a whole number of a disk's blocks */
const KB = 1024;
let server: S3Server;
let root: string;
let dir: string;
let store: ObjectStore;
const opened: ObjectCache[] = [];

const retry = { baseDelayMs: 1, maxDelayMs: 10 };
/** A store with little patience for the tests in which the server falls silent; elsewhere a slow machine must not look like one. */
const openAt = (stallTimeoutMs = 30_000) =>
  openStore('s3://data/set', { s3: server.s3, limits: { stallTimeoutMs, retry } });

function openCache(options: Partial<ObjectCacheOptions> = {}): ObjectCache {
  const download = { partBytes: 64 * KB, parallelParts: 4 };
  const cache = new ObjectCache({ dir, limitBytes: 1000 * KB, download, roomTimeoutMs: 0, ...options });
  opened.push(cache);
  return cache;
}

function put(key: string, sizeBytes = 100 * KB): Buffer {
  const bytes = randomBytes(sizeBytes);
  server.put(`set/${key}`, bytes);
  return bytes;
}

/** Files below the cache's folder, without those that only mark or count. */
const filesIn = (folder: string) =>
  readdirSync(join(dir, folder), { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => each.name)
    .sort();

beforeAll(async () => {
  server = await S3Server.start();
  root = mkdtempSync(join(tmpdir(), 'dabarex-cache-'));
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  dir = mkdtempSync(join(root, 'cache-'));
  store = openAt();
});
afterEach(() => {
  for (const cache of opened.splice(0)) cache.close();
  server.faults.clear();
  server.requests.length = 0;
});

describe('fetching', () => {
  it('gives the object as a file under its own name, once however many ask', async () => {
    const bytes = put('train/shard.00000.mds', 300 * KB);
    const hashes = { sha1: createHash('sha1').update(bytes).digest('hex'), xxh3: 'not known here' };
    const cache = openCache();
    const request = { sizeBytes: bytes.length, hashes };
    const all = await Promise.all(
      Array.from({ length: 8 }, () => cache.fetch(store, 'train/shard.00000.mds', request)),
    );
    expect(new Set(all.map(({ path }) => path)).size).toBe(1);
    expect(all[0]!.path).toMatch(/objects\/.*\/train\/shard\.00000\.mds$/);
    expect(readFileSync(all[0]!.path).equals(bytes)).toBe(true);
    expect(server.requests.map(({ range }) => range).sort()).toEqual(
      [0, 64, 128, 192, 256].map((kb) => `bytes=${kb * KB}-${(kb + 64) * KB - 1}`).sort(),
    );
    await openCache().fetch(openAt(), 'train/shard.00000.mds', request);
    expect(server.requests.length).toBe(5);
    expect(cache.stats()).toMatchObject({ downloads: 1, downloadedBytes: 300 * KB });
    expect(filesIn('partial')).toEqual([]);
  });

  it('takes an object of a folder as it is, without a copy', async () => {
    writeFileSync(join(root, 'local.bin'), 'abc');
    const local = openStore(`file:${root}`);
    const cache = openCache();
    expect((await cache.fetch(local, 'local.bin', { sizeBytes: 3 })).path).toBe(join(root, 'local.bin'));
    await expect(cache.fetch(local, 'local.bin', { sizeBytes: 4 })).rejects.toMatchObject({
      code: 'object_corrupt',
    });
    await expect(cache.fetch(local, 'absent')).rejects.toMatchObject({ code: 'object_missing' });
  });

  it('takes an empty object', async () => {
    put('empty', 0);
    const { path } = await openCache().fetch(store, 'empty');
    expect(statSync(path).size).toBe(0);
  });

  it.each(['error', 'slowdown', 'reset', 'truncate', 'stall', 'wrong-range'] as const)(
    'loses nothing to a server that does %s at every third request',
    async (kind) => {
      server.faults.add({ kind, every: 3 });
      const cache = openCache();
      const bytes = put(`${kind}/x`, 400 * KB);
      const { path } = await cache.fetch(openAt(kind === 'stall' ? 300 : undefined), `${kind}/x`);
      expect(readFileSync(path).equals(bytes)).toBe(true);
      expect(server.requests.length).toBeLessThanOrEqual(7 * 2);
    },
  );

  it('begins anew where the object is replaced on the way, and never joins two versions', async () => {
    put('x', 300 * KB);
    server.faults.add({ kind: 'stall', key: /x/, every: 4, times: 4, bytes: 0 });
    const fetching = openCache().fetch(openAt(300), 'x');
    await expect.poll(() => server.requests.length).toBeGreaterThanOrEqual(4);
    const replaced = put('x', 300 * KB);
    expect(readFileSync((await fetching).path).equals(replaced)).toBe(true);
    server.faults.add({ kind: 'wrong-etag' });
    put('y', 300 * KB);
    await expect(openCache().fetch(store, 'y')).rejects.toMatchObject({ code: 'object_changed' });
    expect(filesIn('objects')).toEqual(['x']);
  });

  it('fetches again what arrives with a wrong digest, and keeps nothing that stays wrong', async () => {
    const bytes = put('x');
    const hashes = { md5: createHash('md5').update(bytes).digest('hex') };
    server.faults.add({ kind: 'corrupt', times: 1 });
    const { path } = await openCache().fetch(store, 'x', { hashes });
    expect(readFileSync(path).equals(bytes)).toBe(true);
    put('y');
    await expect(openCache().fetch(store, 'y', { hashes })).rejects.toMatchObject({
      code: 'object_corrupt',
      fields: { algorithm: 'md5' },
    });
    await expect(openCache().fetch(store, 'y', { sizeBytes: 5 })).rejects.toMatchObject({
      code: 'object_corrupt',
      fields: { expected: 5 },
    });
    expect(filesIn('objects')).toEqual(['x']);
    expect(filesIn('partial')).toEqual([]);
  });

  it('checks against the ETag where the index has no digest, and believes bytes that came twice the same', async () => {
    const bytes = put('x');
    server.faults.add({ kind: 'corrupt', times: 1 });
    expect(readFileSync((await openCache().fetch(store, 'x')).path).equals(bytes)).toBe(true);
    server.faults.add({ kind: 'corrupt', key: /z/ });
    put('z');
    await expect(openCache().fetch(store, 'z')).rejects.toMatchObject({
      code: 'object_corrupt',
      message: expect.stringContaining('its ETag says'),
    });
    // An ETag that only looks like a digest, as some stores have it.
    Object.assign(server.put('set/y', bytes), { etag: `"${'0'.repeat(32)}"` });
    const twice = await openCache().fetch(store, 'y', { hashes: { xxh3: 'not known here' } });
    expect(twice.sizeBytes).toBe(100 * KB);
    expect(server.requests.filter(({ key }) => key === 'set/y').map(({ range }) => range)).toEqual([
      'bytes=0-65535',
      'bytes=65536-131071',
      undefined,
    ]);
  });

  it('ends one wait without ending the others', async () => {
    const bytes = put('x');
    server.faults.add({ kind: 'slow', bytes: 5 * KB });
    const controller = new AbortController();
    const cache = openCache();
    const first = cache.fetch(store, 'x', { signal: controller.signal });
    const second = cache.fetch(store, 'x');
    await expect.poll(() => server.requests.length).toBeGreaterThan(0);
    controller.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    expect(readFileSync((await second).path).equals(bytes)).toBe(true);
  });
});

describe('versions', () => {
  it('asks again for what may have changed, and replaces what nobody uses', async () => {
    put('index.json', 1 * KB);
    const cache = openCache();
    (await cache.fetch(store, 'index.json')).release();
    const next = put('index.json', 2 * KB);
    (await cache.fetch(store, 'index.json')).release();
    expect(server.count('GET', 'set/index.json')).toBe(1);
    const held = await cache.fetch(store, 'index.json', { revalidate: true });
    expect(readFileSync(held.path).equals(next)).toBe(true);
    const again = await openCache().fetch(store, 'index.json', { revalidate: true });
    expect(again.path).toBe(held.path);
    expect(server.count('GET', 'set/index.json')).toBe(2);
    put('index.json', 3 * KB);
    await expect(openCache().fetch(store, 'index.json', { revalidate: true })).rejects.toMatchObject({
      code: 'object_changed',
    });
    expect(readFileSync(held.path).equals(next)).toBe(true);
  });

  it('replaces what has not the digest that is wanted now, and checks what was not checked', async () => {
    const old = put('x');
    const sha1 = (bytes: Buffer) => ({ sha1: createHash('sha1').update(bytes).digest('hex') });
    const cache = openCache();
    (await cache.fetch(store, 'x')).release();
    (await cache.fetch(store, 'x', { hashes: sha1(old) })).release();
    expect(server.count('GET', 'set/x')).toBe(2);
    const next = put('x');
    const fetched = await cache.fetch(store, 'x', { hashes: sha1(next) });
    expect(readFileSync(fetched.path).equals(next)).toBe(true);
  });

  it('does not take a file for whole that is not the one it wrote', async () => {
    const bytes = put('x');
    const cache = openCache();
    const { path, release } = await cache.fetch(store, 'x');
    release();
    writeFileSync(path, bytes.subarray(0, 10));
    expect(readFileSync((await cache.fetch(store, 'x')).path).equals(bytes)).toBe(true);
  });
});

describe('the limit', () => {
  it('evicts the least recently used, never what is held', async () => {
    let nowMs = 1e12;
    const clock = {
      now: () => performance.now(),
      epochMs: () => (nowMs += 1000),
      sleep: () => new Promise<void>((done) => setTimeout(done, 1)),
    };
    const cache = openCache({ clock });
    const other = openCache({ clock });
    for (let i = 0; i < 9; i++) put(`s${i}`);
    const held = await cache.fetch(store, 's0');
    for (let i = 1; i < 9; i++) (await cache.fetch(store, `s${i}`)).release();
    (await other.fetch(store, 's1')).release();
    put('next', 200 * KB);
    (await other.fetch(store, 'next')).release();
    expect(filesIn('objects')).toEqual(['next', 's0', 's1', 's4', 's5', 's6', 's7', 's8']);
    expect(existsSync(held.path)).toBe(true);
    expect(other.stats().evictions).toBe(2);
  });

  it('is never passed, also when two caches fill it at once', async () => {
    const caches = [openCache({ roomTimeoutMs: 10_000 }), openCache({ roomTimeoutMs: 10_000 })];
    for (let i = 0; i < 30; i++) put(`s${i}`);
    let most = 0;
    const fill = async (cache: ObjectCache, first: number) => {
      for (let i = first; i < 30; i += 2) {
        const { release } = await cache.fetch(store, `s${i}`);
        const used = ['objects', 'partial'].flatMap((folder) =>
          readdirSync(join(dir, folder), { recursive: true, withFileTypes: true })
            .filter((each) => each.isFile())
            .map(
              (each) =>
                statSync(join(each.parentPath ?? each.path, each.name), { throwIfNoEntry: false })?.blocks ??
                0,
            ),
        );
        most = Math.max(most, 512 * used.reduce((sum, blocks) => sum + blocks, 0));
        release();
      }
    };
    await Promise.all(caches.map(fill));
    expect(most).toBeGreaterThan(500 * KB);
    // A file may have a block of the file system's own besides.
    expect(most).toBeLessThanOrEqual(1000 * KB + 12 * 4 * KB);
    expect(server.count('GET', /./)).toBe(60);
  });

  it('tells when an object does not fit, alone or beside what is held', async () => {
    put('large', 1001 * KB);
    put('a', 600 * KB);
    put('b', 600 * KB);
    const cache = openCache();
    await expect(cache.fetch(store, 'large')).rejects.toMatchObject({ code: 'cache_too_small' });
    const a = await cache.fetch(store, 'a');
    await expect(cache.fetch(store, 'b')).rejects.toMatchObject({
      code: 'cache_too_small',
      message: expect.stringMatching(/614400 are in use/),
    });
    expect(filesIn('objects')).toEqual(['a']);
    const patient = openCache({ roomTimeoutMs: 10_000 }).fetch(store, 'b');
    a.release();
    expect((await patient).sizeBytes).toBe(600 * KB);
    expect(filesIn('objects')).toEqual(['b']);
  });

  it('names what stands in the way of its folder', async () => {
    writeFileSync(join(root, 'file'), '');
    expect(() => openCache({ dir: join(root, 'file') })).toThrow(
      expect.objectContaining({ code: 'path_unusable' }),
    );
    mkdirSync(join(dir, 'objects'), { recursive: true });
    put('a');
    put('a/b');
    const cache = openCache();
    await cache.fetch(store, 'a');
    await expect(cache.fetch(store, 'a/b')).rejects.toMatchObject({ code: 'path_unusable' });
  });
});
