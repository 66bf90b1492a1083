import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ObjectCache } from './object-cache.ts';
import { openStore } from './open-store.ts';

const body = randomBytes(500_000);
const etag = `"${createHash('md5').update(body).digest('hex')}"`;
let server: Server;
let url: string;
let root: string;
let requests: IncomingMessage[] = [];
let handle: (request: IncomingMessage, response: ServerResponse) => void;

/** A server with ranges, as most are; `break` cuts the first so many bodies short. */
function ranged(breaks = 0, version = () => etag) {
  return (request: IncomingMessage, response: ServerResponse) => {
    const [, first, last = ''] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
    const start = Number(first ?? 0);
    const end = last === '' ? body.length : Math.min(Number(last) + 1, body.length);
    response.setHeader('etag', version());
    response.setHeader('content-length', end - start);
    if (first !== undefined) response.setHeader('content-range', `bytes ${start}-${end - 1}/${body.length}`);
    response.statusCode = first === undefined ? 200 : 206;
    const isCut = breaks-- > 0;
    response.write(body.subarray(start, isCut ? start + 50_000 : end), () =>
      isCut ? request.socket.destroy() : response.end(),
    );
  };
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-http-'));
  server = createServer((request, response) => {
    requests.push(request);
    handle(request, response);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  requests = [];
});

const open = (headers?: Record<string, string>) =>
  openStore(`${url}/set/`, { http: { headers }, limits: { retry: { baseDelayMs: 1, maxDelayMs: 5 } } });
const cacheAt = (name: string) =>
  new ObjectCache({ dir: join(root, name), limitBytes: 1e9, download: { partBytes: 100_000 } });

describe('a store behind http', () => {
  it('reads by ranges, goes on where a body broke off, and names keys as URLs do', async () => {
    handle = ranged(2);
    const part = await open({ authorization: 'Bearer secret' }).read('a b/ü#?.bin', {
      range: { start: 5, end: 400_005 },
    });
    expect(Buffer.from(part).equals(body.subarray(5, 400_005))).toBe(true);
    expect(requests.map(({ url: path, headers }) => [path, headers.range, headers.authorization])).toEqual(
      [5, 50_005, 100_005].map((start) => [
        '/set/a%20b/%C3%BC%23%3F.bin',
        `bytes=${start}-400004`,
        'Bearer secret',
      ]),
    );
  });

  it('downloads in parallel ranges', async () => {
    handle = ranged(1);
    const { path } = await cacheAt('ranged').fetch(open(), 'x');
    expect(readFileSync(path).equals(body)).toBe(true);
    expect(requests.length).toBe(6);
  });

  it.each([
    ['its length told', (response: ServerResponse) => response.setHeader('content-length', body.length)],
    ['in chunks', () => undefined],
  ])('takes the whole from a server without ranges, %s', async (name, prepare) => {
    handle = (_, response) => {
      prepare(response);
      response.end(body);
    };
    const part = await open().read('x', { range: { start: 100_000, end: 100_010 } });
    expect(Buffer.from(part).equals(body.subarray(100_000, 100_010))).toBe(true);
    const { path } = await cacheAt(name).fetch(open(), 'x');
    expect(readFileSync(path).equals(body)).toBe(true);
  });

  it('notices another version on the way', async () => {
    let number = 0;
    handle = ranged(1, () => `"${number++}"`);
    await expect(open().read('x')).rejects.toMatchObject({ code: 'object_changed' });
  });

  it.each([
    [404, 'object_missing', 1],
    [403, 'store_refused', 1],
    [500, 'store_unreachable', 8],
  ])('HTTP status %i is %s', async (status, code, count) => {
    handle = (_, response) => void response.writeHead(status).end('no');
    await expect(open().read('x')).rejects.toMatchObject({ code, fields: { status } });
    expect(requests.length).toBe(count);
  });

  it('refuses what is compressed on the way, whose lengths and ranges would count other bytes', async () => {
    handle = (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x');
    await expect(open().read('x')).rejects.toMatchObject({
      code: 'store_refused',
      message: expect.stringContaining('gzip'),
    });
  });

  it('is only read', async () => {
    await expect(open().write('x', body)).rejects.toMatchObject({ code: 'store_read_only' });
    expect(open().list).toBeUndefined();
    for (const bad of ['http://user:pass@host/x', 'https://host/x?key=secret', 'https://']) {
      expect(() => openStore(bad)).toThrow(
        expect.objectContaining({
          code: 'store_url_invalid',
          message: expect.not.stringMatching(/secret|:pass/),
        }),
      );
    }
  });

  it('gives up a server that is not there', async () => {
    const closed = createServer();
    await new Promise<void>((done) => closed.listen(0, '127.0.0.1', done));
    const { port } = closed.address() as AddressInfo;
    await new Promise((done) => closed.close(done));
    const nowhere = openStore(`http://127.0.0.1:${port}/x`, {
      limits: { retry: { baseDelayMs: 1, maxDelayMs: 5, maxAttempts: 3 } },
    });
    await expect(nowhere.stat('y')).rejects.toMatchObject({
      code: 'store_unreachable',
      message: expect.stringMatching(/ECONNREFUSED.*3 attempts/),
    });
    await expect(openStore('http://127.0.0.1:9/x').stat('y')).rejects.toMatchObject({
      code: 'store_refused',
      message: expect.stringContaining('bad port'),
    });
  });
});
