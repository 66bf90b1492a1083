import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3Server } from '../../tests/s3/server.ts';
import { checkFilesUrl, findFiles } from './find-files.ts';
import { ObjectCache } from './object-cache.ts';

let root: string;
let s3: S3Server;
let web: Server;
let address: string;
let cache: ObjectCache;

/** A web server of one file, which is a registry of one package, too. */
function serve(tarball: Buffer): Server {
  return createServer((request, response) => {
    if (request.url === '/texts') {
      const dist = { tarball: `${address}/texts-1.2.3.tgz` };
      const versions = { '1.2.3': { name: 'texts', version: '1.2.3', dist } };
      response.end(JSON.stringify({ name: 'texts', 'dist-tags': { latest: '1.2.3' }, versions }));
    } else if (request.url === '/texts-1.2.3.tgz') response.end(tarball);
    else if (request.url === '/my%20texts/a.txt') response.setHeader('content-length', 3).end('web');
    else response.writeHead(404).end();
  });
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-files-'));
  for (const name of ['b.jsonl', 'a.jsonl', 'a.txt', 'deep/c.jsonl', 'deep/d/e.jsonl', 'odd[1].jsonl']) {
    mkdirSync(dirname(join(root, 'in', name)), { recursive: true });
    writeFileSync(join(root, 'in', name), name);
  }
  symlinkSync('a.jsonl', join(root, 'in', 'link.jsonl'));
  symlinkSync('..', join(root, 'in', 'deep', 'circle'));
  mkdirSync(join(root, 'package'));
  writeFileSync(join(root, 'package', 'package.json'), '{"name":"texts","version":"1.2.3"}');
  writeFileSync(join(root, 'package', 'a.txt'), 'npm');
  web = serve(execFileSync('tar', ['cz', '-C', root, 'package']));
  await new Promise<void>((done) => web.listen(0, '127.0.0.1', done));
  address = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  s3 = await S3Server.start({ buckets: ['data'] });
  for (const name of ['b.jsonl', 'a.jsonl', 'deep/c.jsonl', 'deep/']) s3.put(`texts/${name}`, `s3 ${name}`);
  cache = new ObjectCache({ dir: join(root, 'objects'), limitBytes: 1e6 });
});
afterAll(async () => {
  cache.close();
  web.close();
  web.closeAllConnections();
  await s3.close();
  rmSync(root, { recursive: true, force: true });
});

async function found(url: string): Promise<string[]> {
  const npm = { registry: address, cache: join(root, 'npm'), fetchRetries: 0 };
  const stores = { s3: s3.s3, npm, cacheDir: join(root, 'sources') };
  const files = await findFiles(url, { baseDir: root, cache: () => cache, stores });
  const contents = files.map(({ path }) => readFileSync(path, 'utf8'));
  for (const each of files) each.release();
  return contents;
}

describe('files', () => {
  it('of a folder are those that match, in the order of their names', async () => {
    expect(await found('in/*.jsonl')).toEqual(['a.jsonl', 'b.jsonl', 'a.jsonl', 'odd[1].jsonl']);
    expect(await found(join(root, 'in/{deep,x}/*.jsonl'))).toEqual(['deep/c.jsonl']);
    expect(await found('in/deep/**')).toEqual(['deep/c.jsonl', 'deep/d/e.jsonl']);
    expect(await found('i?/*/?/e.jsonl')).toEqual(['deep/d/e.jsonl']);
    expect(await found('file:in#**/e.jsonl')).toEqual(['deep/d/e.jsonl']);
    expect(await found('in/a.txt')).toEqual(['a.txt']);
    expect(await found('in/odd[1].jsonl')).toEqual(['odd[1].jsonl']);
  });

  it('of a bucket, a package and a web server are fetched, each version once', async () => {
    expect(await found('s3://data/texts/*.jsonl')).toEqual(['s3 a.jsonl', 's3 b.jsonl']);
    expect(await found('s3://data/texts#**/*.jsonl')).toEqual([
      's3 a.jsonl',
      's3 b.jsonl',
      's3 deep/c.jsonl',
    ]);
    expect(await found('s3://data/texts/b.jsonl')).toEqual(['s3 b.jsonl']);
    expect(s3.count('GET', /b\.jsonl$/)).toBe(1);
    s3.put('texts/b.jsonl', 'another');
    expect(await found('s3://data/texts/b.jsonl')).toEqual(['another']);
    expect(await found('npm:texts@1.2.3#*.txt')).toEqual(['npm']);
    expect(await found(`${address}/my%20texts/a.txt`)).toEqual(['web']);
  });

  it.each([
    ['in/*.jsnl', 'file_missing', /no file below .*in matches \*\.jsnl/],
    ['out/*.jsonl', 'file_missing', /there is no folder .*out/],
    ['s3://data/texts/*.txt', 'source_not_found', /no object of s3:\/\/data\/texts matches \*\.txt/],
    ['s3://data/texts/none.jsonl', 'object_missing', /none\.jsonl/],
    ['s3://data', 'store_url_invalid', /write s3:\/\/BUCKET\/OBJECT/],
    ['in/[z-a]', 'source_url_invalid', /pattern/],
    ['ftp://host/a', 'source_url_invalid', /"ftp:" is not known/],
    ['https://host/a#*', 'store_url_invalid', /no listing/],
    ['https://host/a?key=1', 'store_url_invalid', /query/],
  ])('%s are refused', async (url, code, message) => {
    await expect(found(url)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    if (/_url_/.test(code)) expect(() => checkFilesUrl(url)).toThrow(expect.objectContaining({ code }));
  });
});
