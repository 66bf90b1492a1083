import { createHash, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { S3Server } from '../../tests/s3/server.ts';
import type { ObjectStore } from './object-store.ts';
import { openStore, type StoreOptions } from './open-store.ts';

let server: S3Server;
let store: ObjectStore;

const limits = { retry: { baseDelayMs: 1, maxDelayMs: 10 } };
const options = (): StoreOptions => ({ s3: { ...server.s3, uploadPartBytes: 400_000 }, limits });

beforeAll(async () => {
  server = await S3Server.start({ maxKeys: 3 });
});
afterAll(() => server.close());
beforeEach(() => {
  store = openStore('s3://data/set', options());
});
afterEach(() => {
  server.faults.clear();
  server.requests.length = 0;
});

const body = randomBytes(300_000);
const put = (key: string, content: Uint8Array | string = body) => server.put(`set/${key}`, content);

describe('an S3 store', () => {
  it('reads, writes, looks up and lists what is below its prefix', async () => {
    await store.write('a/1.bin', body);
    expect(server.object('set/a/1.bin')?.bytes.equals(body)).toBe(true);
    expect(server.object('set/a/1.bin')?.checksums.has('x-amz-checksum-crc32')).toBe(true);
    expect(await store.stat('a/1.bin')).toEqual({
      sizeBytes: 300_000,
      etag: server.object('set/a/1.bin')!.etag,
      md5: createHash('md5').update(body).digest('hex'),
    });
    expect(Buffer.from(await store.read('a/1.bin')).equals(body)).toBe(true);
    const part = await store.read('a/1.bin', { range: { start: 1000, end: 1010 } });
    expect(Buffer.from(part).equals(body.subarray(1000, 1010))).toBe(true);
    for (const name of ['2', '3', '4', 'ü &<5']) put(`a/${name}`, name);
    server.put('other/1', 'no');
    const keys: string[] = [];
    for await (const { key } of store.list!('a/')) keys.push(key);
    expect(keys).toEqual(['a/1.bin', 'a/2', 'a/3', 'a/4', 'a/ü &<5']);
    expect(Buffer.from(await store.read('a/ü &<5')).toString()).toBe('ü &<5');
  });

  it('uploads what is large in parts, and leaves nothing of an upload that fails', async () => {
    const large = randomBytes(1_000_000);
    server.faults.add({ kind: 'error', method: 'PUT', every: 3 });
    await store.write('large.bin', large);
    const kept = server.object('set/large.bin')!;
    expect(createHash('sha1').update(kept.bytes).digest('hex')).toBe(
      createHash('sha1').update(large).digest('hex'),
    );
    expect(kept.etag).toMatch(/-3"$/);
    server.faults.clear();
    server.faults.add({ kind: 'error', method: 'PUT' });
    await expect(store.write('failed.bin', large)).rejects.toMatchObject({ code: 'store_unreachable' });
    expect(server.object('set/failed.bin')).toBeUndefined();
    expect(server.openUploads).toBe(0);
  });

  it.each([
    ['error', { kind: 'error' }],
    ['slow down', { kind: 'slowdown' }],
    ['closed connection', { kind: 'reset' }],
    ['truncated body', { kind: 'truncate' }],
    ['silence', { kind: 'stall' }],
    ['wrong range', { kind: 'wrong-range' }],
  ] as const)('loses nothing to a server whose answers are wrong twice: %s', async (_, fault) => {
    put('x');
    server.faults.add({ ...fault, times: 2 });
    const range = { start: 10, end: 250_010 };
    // Little patience only where the server falls silent: elsewhere a slow machine must not look like one.
    const stallTimeoutMs = fault.kind === 'stall' ? 300 : 30_000;
    const bytes = await openStore('s3://data/set', {
      ...options(),
      limits: { ...limits, stallTimeoutMs },
    }).read('x', { range });
    expect(Buffer.from(bytes).equals(body.subarray(10, 250_010))).toBe(true);
    expect(server.count('GET', 'set/x')).toBe(3);
  });

  it('waits for slow bytes that keep coming', async () => {
    put('x');
    server.faults.add({ kind: 'slow', bytes: 4000 });
    expect((await store.read('x')).length).toBe(300_000);
    expect(server.count('GET', 'set/x')).toBe(1);
  });

  it('goes on where a body broke off, of the same version', async () => {
    put('x');
    server.faults.add({ kind: 'truncate', bytes: 100_000, times: 2 });
    expect(Buffer.from(await store.read('x')).equals(body)).toBe(true);
    const ranges = server.requests.map(({ range }) => range);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d+-$/.test(range!))).toBe(true);
    server.faults.add({ kind: 'truncate', times: 3 }, { kind: 'wrong-etag', every: 2 });
    await expect(store.read('x')).rejects.toMatchObject({ code: 'object_changed' });
  });

  it.each([
    ['object_missing', 'absent', {}, 1],
    ['store_refused', 'x', { s3: { credentials: { accessKeyId: 'TESTKEY', secretAccessKey: 'wrong' } } }, 1],
    ['store_refused', 'x', { s3: { credentials: { accessKeyId: 'who', secretAccessKey: 'wrong' } } }, 1],
    ['store_refused', 'x', { s3: { credentials: 'anonymous' } }, 1],
    ['store_unreachable', 'x', { fault: { kind: 'error' } }, 8],
  ] as const)('%s', async (code, key, change: { s3?: object; fault?: { kind: 'error' } }, requests) => {
    put('x');
    if (change.fault) server.faults.add(change.fault);
    const other = openStore('s3://data/set', { ...options(), s3: { ...server.s3, ...change.s3 } });
    const error = await other.read(key).catch((each) => each);
    expect(error).toMatchObject({ code, fields: { url: `s3://data/set/${key}` } });
    expect(server.requests.length).toBe(requests);
    expect(JSON.stringify([error.message, error.fields])).not.toMatch(/wrong|TESTKEY/);
  });

  it('refuses ranges an object does not have, buckets that are not there, keys that are none', async () => {
    put('x');
    await expect(store.read('x', { range: { start: 299_999, end: 300_001 } })).rejects.toMatchObject({
      code: 'object_corrupt',
    });
    await expect(store.read('x', { range: { start: 400_000, end: 400_001 } })).rejects.toMatchObject({
      code: 'object_corrupt',
    });
    await expect(openStore('s3://nobody/x', options()).read('y')).rejects.toMatchObject({
      code: 'store_refused',
    });
    for (const key of ['', '../x', 'a//b', '/x', 'a/./b', 'a\\b', 'a\0', 'x'.repeat(1025)]) {
      await expect(store.read(key)).rejects.toMatchObject({ code: 'object_key_invalid' });
    }
    for (const endpoint of ['ftp://x', 'no', 'http://key:pass@host']) {
      expect(() => openStore('s3://data', { s3: { endpoint } })).toThrow(
        expect.objectContaining({ code: 'store_url_invalid' }),
      );
    }
    for (const url of [
      's3://',
      's3://a/b',
      's3://key:secret@bucket/x',
      's3://bucket/a/../b',
      's3://bucket/x?y',
      'gs://x/y',
    ]) {
      expect(() => openStore(url)).toThrow(expect.objectContaining({ code: 'store_url_invalid' }));
    }
  });

  it('corrects its clock by the answer of the server', async () => {
    const ahead = await S3Server.start({ skewMs: 3_600_000 });
    try {
      ahead.put('x', 'text');
      const skewed = openStore('s3://data', { s3: ahead.s3, limits });
      expect(Buffer.from(await skewed.read('x')).toString()).toBe('text');
      expect(ahead.requests.map(({ status }) => status)).toEqual([403, 200]);
    } finally {
      await ahead.close();
    }
  });

  it('ends with the signal', async () => {
    put('x');
    server.faults.add({ kind: 'stall' });
    const controller = new AbortController();
    const reading = openStore('s3://data/set', { s3: server.s3 }).read('x', { signal: controller.signal });
    await expect.poll(() => server.requests.length).toBe(1);
    controller.abort(new Error('enough'));
    await expect(reading).rejects.toThrow('enough');
  });
});
