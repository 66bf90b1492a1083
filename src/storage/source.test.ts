import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { globMatcher } from './glob.ts';
import { integrityOf } from './integrity.ts';
import { fetchSource, type SourceRequest } from './source.ts';
import { parseSourceUrl } from './source-url.ts';

const LONG = `src/${'very-long-folder-name/'.repeat(8)}end.ts`;
const FILES: Record<string, string> = {
  'package.json': '{"name":"texts","version":"1.2.3"}',
  'src/a.ts': 'export const a = 1;\n',
  'src/deep/b.ts': 'export const b = 2;\n',
  'README.md': '# Texts\n',
  [LONG]: 'long\n',
};

let root: string;
let tarball: Buffer;
let server: Server;
let registry: string;
let served: Buffer;
let requests = 0;
let cacheDir: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-source-'));
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(join(root, 'package', dirname(path)), { recursive: true });
    writeFileSync(join(root, 'package', path), text);
  }
  execFileSync('tar', ['czf', join(root, 'texts.tgz'), '-C', root, 'package']);
  tarball = readFileSync(join(root, 'texts.tgz'));
  server = createServer((request, response) => {
    requests++;
    if (request.url === '/texts') {
      const dist = { tarball: `${registry}/texts/-/texts-1.2.3.tgz`, integrity: integrityOf(tarball) };
      const version = { name: 'texts', version: '1.2.3', dist };
      const body = { name: 'texts', 'dist-tags': { latest: '1.2.3' }, versions: { '1.2.3': version } };
      response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    } else if (request.url === '/missing') response.writeHead(404).end('{}');
    else response.end(served);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.close();
  rmSync(root, { recursive: true, force: true });
});

beforeEach(() => {
  served = tarball;
  requests = 0;
  cacheDir = mkdtempSync(join(root, 'cache-'));
});

const npm = () => ({ registry, cache: join(cacheDir, 'npm'), fetchRetries: 0 });
const offline = () => ({ ...npm(), registry: 'http://127.0.0.1:9' });
const cached = () => {
  const folder = join(cacheDir, 'sources', 'sha512');
  return existsSync(folder) ? readdirSync(folder) : [];
};

async function read(request: SourceRequest, options: Record<string, unknown> = {}) {
  const source = await fetchSource(request, { cacheDir, npm: npm(), ...options });
  const texts: Record<string, string> = {};
  for await (const { path, bytes } of source.files) texts[path] = Buffer.from(bytes).toString();
  return { ...source, texts };
}

describe('npm sources', () => {
  const url = 'npm:texts@1.2.3#src/**/*.ts';

  it('reads the files that match, long names too, and the second time needs no network', async () => {
    const integrity = integrityOf(tarball);
    const first = await read({ url, integrity });
    expect(first.texts).toEqual({
      'src/a.ts': FILES['src/a.ts'],
      'src/deep/b.ts': FILES['src/deep/b.ts'],
      [LONG]: 'long\n',
    });
    expect(first).toMatchObject({ integrity, fromCache: false });
    requests = 0;
    const second = await read({ url, integrity }, { npm: offline() });
    expect(second).toMatchObject({ integrity, fromCache: true, texts: first.texts });
    expect(requests).toBe(0);
  });

  it('fails with a code when the registry cannot be reached and the cache has nothing', async () => {
    await expect(read({ url }, { npm: offline() })).rejects.toMatchObject({
      code: 'source_fetch_failed',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('refuses another hash and keeps nothing', async () => {
    const wrong = integrityOf(Buffer.from('other'));
    await expect(read({ url, integrity: wrong })).rejects.toMatchObject({
      code: 'source_hash_mismatch',
      fields: { expected: wrong, found: integrityOf(tarball) },
    });
    expect(cached()).toEqual([]);
  });

  it('refuses a tarball that the registry cut short', async () => {
    served = tarball.subarray(0, tarball.length - 40);
    await expect(read({ url, integrity: integrityOf(tarball) })).rejects.toMatchObject({
      code: 'source_hash_mismatch',
    });
    expect(cached()).toEqual([]);
  });

  it('drops a damaged cache entry and fetches again', async () => {
    const integrity = integrityOf(tarball);
    await read({ url, integrity });
    const path = join(cacheDir, 'sources', 'sha512', cached()[0]!);
    writeFileSync(path, 'damaged');
    rmSync(join(cacheDir, 'npm'), { recursive: true });
    expect((await read({ url, integrity })).fromCache).toBe(false);
    expect(integrityOf(readFileSync(path))).toBe(integrity);
  });

  it('says when the glob matches nothing', async () => {
    await expect(read({ url: 'npm:texts@1.2.3#*.rs' })).rejects.toMatchObject({ code: 'source_not_found' });
  });

  it('stops on an aborted signal', async () => {
    await expect(read({ url }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});

describe('http sources', () => {
  it('reads one file, and falls back to the cache with a warning', async () => {
    served = Buffer.from('hello');
    const url = `${registry}/poem.txt`;
    expect((await read({ url })).texts).toEqual({ 'poem.txt': 'hello' });
    const other = createServer((_, response) => response.end('gone'));
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
    const address = `http://127.0.0.1:${(other.address() as AddressInfo).port}/x.txt`;
    await read({ url: address });
    other.closeAllConnections();
    await new Promise((done) => other.close(done));
    const warnings: string[] = [];
    const again = await read({ url: address }, { warn: (message: string) => warnings.push(message) });
    expect(again).toMatchObject({ texts: { 'x.txt': 'gone' }, fromCache: true });
    expect(warnings).toHaveLength(1);
  });

  it('does not tell the query of an address, which may be a key', async () => {
    const url = 'http://127.0.0.1:1/poem.txt?token=geheim#*.txt';
    const error = await read({ url }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'source_fetch_failed' });
    expect(error.message).toContain('/poem.txt?...');
    expect(`${error.message}${JSON.stringify(error.fields)}`).not.toContain('geheim');
  });

  it('reports an HTTP error', async () => {
    await expect(read({ url: `${registry}/missing` })).rejects.toMatchObject({
      code: 'source_fetch_failed',
      message: expect.stringContaining('404'),
    });
  });
});

describe('file sources', () => {
  it('reads a file, a folder by glob and an archive', async () => {
    const folder = join(root, 'package');
    expect((await read({ url: 'file:README.md' }, { baseDir: folder })).texts).toEqual({
      'README.md': '# Texts\n',
    });
    expect(Object.keys((await read({ url: `file:${folder}#src/*.ts` })).texts)).toEqual(['src/a.ts']);
    expect(Object.keys((await read({ url: `${root}/texts.tgz#**/a.ts` })).texts)).toEqual([
      'package/src/a.ts',
    ]);
  });

  it('checks the pinned hash of a file and of a folder', async () => {
    const integrity = integrityOf(Buffer.from('x'));
    for (const path of ['package/README.md', 'package'])
      await expect(read({ url: `file:${path}`, integrity }, { baseDir: root })).rejects.toMatchObject({
        code: 'source_hash_mismatch',
      });
  });

  it('refuses a file too large to read, alone and in a folder, before it reads it', async () => {
    const folder = join(root, 'large');
    mkdirSync(folder);
    writeFileSync(join(folder, 'a.txt'), '');
    truncateSync(join(folder, 'a.txt'), 2 ** 31);
    for (const url of [`file:${folder}`, `file:${folder}/a.txt`])
      await expect(read({ url })).rejects.toMatchObject({
        code: 'source_too_large',
        message: expect.stringContaining('2147483648 bytes'),
      });
  });

  it('takes no password in a URL, and does not repeat it', () => {
    for (const url of ['https://me:s3cret@host.example/x', 'https://s3cret@host.example/x'])
      expect(() => parseSourceUrl(url)).toThrow(
        expect.objectContaining({
          code: 'source_url_invalid',
          message: expect.not.stringContaining('s3cret'),
        }),
      );
  });

  it('says what is missing', async () => {
    await expect(read({ url: 'file:no-such.txt' })).rejects.toMatchObject({ code: 'source_not_found' });
  });

  it('refuses a cut archive, a flipped header byte and a name that climbs out', async () => {
    writeFileSync(join(root, 'cut.tgz'), tarball.subarray(0, tarball.length - 60));
    const plain = execFileSync('gzip', ['-dc', join(root, 'texts.tgz')], { maxBuffer: 1 << 24 });
    writeFileSync(join(root, 'short.tar'), plain.subarray(0, 1100));
    const flipped = Buffer.from(plain);
    flipped[3]! ^= 1;
    writeFileSync(join(root, 'flipped.tar'), flipped);
    execFileSync('tar', ['cPf', join(root, 'climb.tar'), '-C', join(root, 'package/src'), '../README.md']);
    for (const name of ['cut.tgz', 'short.tar', 'flipped.tar', 'climb.tar'])
      await expect(read({ url: join(root, name) }), name).rejects.toMatchObject({ code: 'source_corrupt' });
  });
});

it('names what is wrong in a URL or an integrity', async () => {
  for (const url of ['npm:texts', 'npm:texts@^1.0.0', 'ftp://host/file', 'file:', 'file:///%zz'])
    expect(() => parseSourceUrl(url), url).toThrow(expect.objectContaining({ code: 'source_url_invalid' }));
  expect(parseSourceUrl('npm:@a/b@1.0.0-rc.1#x/*.md')).toMatchObject({ name: '@a/b', glob: 'x/*.md' });
  await expect(read({ url: 'file:x', integrity: 'sha512-abc' })).rejects.toMatchObject({
    code: 'source_url_invalid',
  });
});

it('matches globs', () => {
  const hits = (pattern: string, ...paths: string[]) => paths.filter(globMatcher(pattern));
  expect(hits('**/*.ts', 'a.ts', 'x/y/b.ts', 'c.js')).toEqual(['a.ts', 'x/y/b.ts']);
  expect(hits('src/*.{ts,js}', 'src/a.ts', 'src/b.js', 'src/x/c.ts', 'src/d.md')).toEqual([
    'src/a.ts',
    'src/b.js',
  ]);
  expect(hits('data.[an]*', 'data.adj', 'data.noun', 'data.verb')).toEqual(['data.adj', 'data.noun']);
  expect(hits('a.b', 'a.b', 'axb')).toEqual(['a.b']);
  expect(() => globMatcher('[z-a]')).toThrow(expect.objectContaining({ code: 'source_url_invalid' }));
});
