/** A token of a registry, or a password in its address, is sent to it and is found nowhere else: not in what is printed, nor in any file. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../../src/cli/run.suite.ts';
import { readNpmConfig } from '../../src/storage/index.ts';
import { Workplace } from './tiny-run.ts';

const TOKEN = 'npm_5ecret5ecret5ecret';
const PASSWORD = 'pa55word5ecret';
const place = new Workplace();
const authorizations: (string | undefined)[] = [];
let server: Server;
let host: string;
/** what the registry answers to who has no token, or all */
let isBroken = false;

beforeAll(async () => {
  mkdirSync(join(place.dir, 'package'));
  writeFileSync(join(place.dir, 'package', 'prose.txt'), readFileSync(join(place.dir, 'prose.txt')));
  writeFileSync(join(place.dir, 'package', 'package.json'), '{"name":"texts","version":"1.0.0"}');
  const tarball = execFileSync('tar', ['cz', '-C', place.dir, 'package']);
  server = createServer((request, response) => {
    authorizations.push(request.headers.authorization);
    if (isBroken) response.writeHead(500).end(`the token ${request.headers.authorization} is odd`);
    else if (request.headers.authorization !== `Bearer ${TOKEN}`) response.writeHead(401).end();
    else if (request.url!.endsWith('.tgz')) response.end(tarball);
    else {
      const dist = { tarball: `http://${host}/texts-1.0.0.tgz` };
      const versions = { '1.0.0': { name: 'texts', version: '1.0.0', dist } };
      response.end(JSON.stringify({ name: 'texts', 'dist-tags': { latest: '1.0.0' }, versions }));
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await place.close();
});

/** `dabarex ARGS` with the settings of an .npmrc. @returns all that was printed */
async function call(npmrc: string, ...args: string[]): Promise<{ code: number; printed: string }> {
  place.write('.npmrc', npmrc);
  const places = { env: {}, homeDir: join(place.dir, 'home'), cwd: place.dir };
  const { code, stdout, stderr } = await run([...args, '--debug'], {
    cwd: place.dir,
    runsDir: join(place.dir, 'runs'),
    cacheDir: join(place.dir, 'cache'),
    npm: { ...readNpmConfig(places), cache: join(place.dir, 'npm-cache'), fetchRetries: 0 },
    watchInterrupts: () => undefined,
  });
  return { code, printed: stdout + stderr };
}

/** Files that hold one of the secrets, the .npmrc itself left out. */
function leaks(): string[] {
  const files = readdirSync(place.dir, { recursive: true, withFileTypes: true }).filter(
    (each) => each.isFile() && each.name !== '.npmrc',
  );
  const encoded = [TOKEN, PASSWORD].flatMap((secret) => [
    secret,
    Buffer.from(`me:${secret}`).toString('base64'),
  ]);
  return files
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => encoded.some((secret) => readFileSync(path).includes(secret)));
}

const source = { data: { domains: { prose: { sources: [{ url: 'npm:texts@1.0.0#*.txt' }] } } } };
const npmrc = () => `registry=http://${host}/\n//${host}/:_authToken=${TOKEN}\n`;

it('a token is not where a run was made with it', async () => {
  const recipe = place.recipe('tiny', { ...source, train: { duration: '2step', prompts: [] } });
  const { code, printed } = await call(npmrc(), 'up', recipe, '--no-serve', '--threads', '1');
  expect([code, printed.includes(TOKEN)]).toEqual([0, false]);
  expect(authorizations).toContain(`Bearer ${TOKEN}`);
  expect(readdirSync(place.run('tiny'))).toEqual(
    expect.arrayContaining(['data.json', 'log.txt', 'recipe.yaml']),
  );
  expect(leaks()).toEqual([]);
});

it('nor in what is told when the registry refuses, breaks or is not there', async () => {
  const other = { data: { domains: { prose: { sources: [{ url: 'npm:other@1.0.0#*.txt' }] } } } };
  const recipe = place.recipe('other', other);
  const tried = async (settings: string) => {
    const { code, printed } = await call(settings, 'prepare', recipe);
    expect(code).toBe(1);
    expect(printed).toMatch(/error\[source_fetch_failed\]: npm:other@1\.0\.0/);
    for (const secret of [TOKEN, PASSWORD]) expect(printed).not.toContain(secret);
    expect(leaks()).toEqual([]);
  };
  await tried(`registry=http://${host}/\n//${host}/:_authToken=${TOKEN}x\n`);
  isBroken = true;
  await tried(npmrc());
  isBroken = false;
  await tried(`registry=http://me:${PASSWORD}@127.0.0.1:9/\n`);
  await tried(`registry=http://me:${PASSWORD}@${host}/\n`);
});
