import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { S3Server } from '../../../../tests/s3/server.ts';
import { MdsWriter } from '../../../stream/index.ts';
import { saveTokenizer, trainChar } from '../../../tokenizer/index.ts';
import { run } from '../../run.suite.ts';

let dir: string;
let s3: S3Server;
let web: Server;
const asked: string[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dabarex-inspect-'));
  const writer = new MdsWriter({
    dir: join(dir, 'shards'),
    columns: { text: 'str' },
    sizeLimit: 1000,
    hashes: ['sha256'],
  });
  for (let i = 0; i < 200; i++) writer.write({ text: `document ${i % 150}` });
  writer.finish();
  s3 = await S3Server.start({ buckets: ['data'] });
  for (const name of readdirSync(join(dir, 'shards'))) {
    s3.put(`set/${name}`, readFileSync(join(dir, 'shards', name)));
  }
  web = createServer((request, response) => {
    asked.push(request.url!);
    response.end(readFileSync(join(dir, 'shards', request.url!.replace('/set/', ''))));
  });
  await new Promise<void>((done) => web.listen(0, '127.0.0.1', done));
});
afterEach(() => {
  s3.requests.length = 0;
});
afterAll(async () => {
  web.close();
  web.closeAllConnections();
  await s3.close();
  rmSync(dir, { recursive: true, force: true });
});

const inspect = (place: string, ...options: string[]) =>
  run(['data', 'inspect', place, ...options], {
    cwd: dir,
    cacheDir: join(dir, 'cache'),
    storage: { s3: s3.s3 },
    watchInterrupts: () => {},
  });
const gets = () => s3.requests.filter(({ method }) => method === 'GET').map(({ key }) => key);

describe('dabarex data inspect of a store', () => {
  it('tells what it tells of a folder, and what it fetched', async () => {
    const here = JSON.parse((await inspect('shards', '--json')).stdout);
    const { stdout } = await inspect('s3://data/set', '--json');
    const { fetched, ...there } = JSON.parse(stdout);
    expect(there).toEqual({ ...here, dir: 's3://data/set' });
    const files = readdirSync(join(dir, 'shards')).length;
    expect(fetched).toMatchObject({
      num_files: files,
      num_kept: 0,
      cache_dir: join(dir, 'cache', 'objects'),
    });
    expect(new Set(gets()).size).toBe(gets().length);
    const again = await inspect('s3://data/set');
    expect(again.stdout).toMatch(/^s3:\/\/data\/set: 200 samples in \d+ shards/);
    expect(again.stdout).toMatch(new RegExp(`^fetched: 0 files, 0 B; ${files} were in the cache`, 'm'));
    const file = await inspect(`file:${join(dir, 'shards')}`, '--json');
    expect(JSON.parse(file.stdout)).toEqual(here);
  });

  it('fetches the shards alone that it reads', async () => {
    const cache = ['--cache', 'elsewhere', '--cache-limit', '100kB'];
    const { stdout, code } = await inspect('s3://data/set', '--shards', '2', ...cache);
    expect(code).toBe(0);
    expect(gets()).toHaveLength(3);
    expect(stdout).toMatch(/; 2 of the shards are read here$/m);
    expect(stdout).toMatch(/^fetched: 3 files, .*; 0 were in the cache, .*elsewhere$/m);
    expect(stdout).toMatch(/^all 2 shards are whole/m);
  });

  it('reads from a web server, and lists what is lost', async () => {
    const { port } = web.address() as AddressInfo;
    const { stdout } = await inspect(`http://127.0.0.1:${port}/set`, '--shards', '1');
    expect(stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/set: 200 samples/);
    expect(asked).toEqual(['/set/index.json', '/set/shard.00000.mds']);
    const shard = s3.object('set/shard.00001.mds')!.bytes;
    s3.remove('set/shard.00001.mds');
    const damaged = Buffer.from(s3.object('set/shard.00002.mds')!.bytes);
    damaged[damaged.length - 1]! ^= 1;
    s3.put('set/shard.00002.mds', damaged);
    const lost = await inspect('s3://data/set', '--cache', 'third');
    s3.put('set/shard.00001.mds', shard);
    expect(lost.code).toBe(1);
    expect(lost.stderr).toMatch(/error\[shard_corrupt\]: s3:\/\/data\/set: 2 problems in 2 of/);
    expect(lost.stdout).toMatch(/^ {2}shard\.00001\.mds: .*has no object|^ {2}shard\.00001\.mds: s3:/m);
    expect(lost.stdout).toMatch(/^ {2}shard\.00002\.mds: .*has the sha256 \w+, its index says/m);
    expect((await inspect('s3://data/none')).stderr).toMatch(/error\[object_missing\]/);
    expect((await inspect('s3://data/set', '--shards', '0')).code).toBe(2);
  });
});

describe('dabarex data inspect of text files', () => {
  const line = (i: number) => `${JSON.stringify({ id: i, body: i % 9 ? `text ${i % 20}` : null })}\n`;
  const lines = Array.from({ length: 90 }, (_, i) => line(i));
  beforeAll(async () => {
    writeFileSync(join(dir, 'a.jsonl'), lines.slice(0, 45).join(''));
    writeFileSync(join(dir, 'b.jsonl.gz'), gzipSync(lines.slice(45).join('')));
    saveTokenizer(join(dir, 'chars.json'), trainChar('text 0123456789'));
    s3.put('texts/a.jsonl', lines.join(''));
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    await connection.run(
      `COPY (SELECT body FROM read_json('${join(dir, 'a.jsonl')}')) TO '${join(dir, 'c.parquet')}' (FORMAT parquet)`,
    );
    instance.closeSync();
  });

  it('tells fields, lengths, duplicates and tokens, whatever the format', async () => {
    const options = ['--text-field', 'body', '--tokenizer', 'chars.json', '--sample', '1'];
    const { code, stdout } = await inspect('[ab].jsonl*', ...options);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^90 rows in 2 files/);
    expect(stdout).toMatch(/^id +number +90 +0$/m);
    expect(stdout).toMatch(/^body +null \(10\), text \(80\) +90 +0$/m);
    expect(stdout).toMatch(/^body: 6 to 7 bytes, .*; 10 rows have none$/m);
    expect(stdout).toMatch(/ 160 +\d+\.\d\d % +█+ +"t"$/m);
    expect(stdout).toMatch(/^exact duplicates: 60 of 80 values of "body"$/m);
    const parquet = JSON.parse((await inspect('c.parquet', '--text-field', 'body', '--json')).stdout);
    expect(parquet).toMatchObject({ num_rows: 45, text_bytes: { count: 40, max: 7 }, num_problems: 0 });
    expect(parquet.fields).toEqual([
      {
        name: 'body',
        types: [
          { type: 'null', rows: 5 },
          { type: 'text', rows: 40 },
        ],
      },
    ]);
    const remote = JSON.parse((await inspect('s3://data/texts/*.jsonl', '--json')).stdout);
    expect(remote).toMatchObject({ num_rows: 90, text_bytes: { count: 0 } });
  });

  it('lists what cannot be read, and reads on', async () => {
    writeFileSync(join(dir, 'bad.jsonl'), `${line(1)}{"id":`);
    const { code, stdout, stderr } = await inspect('{bad,a}.jsonl');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^46 rows in 2 files/);
    expect(stdout).toMatch(/^damage: .*\n {2}.*bad\.jsonl: line 2 is not JSON/m);
    expect(stdout).toContain('no row has a text "text": name another with --text-field');
    expect(stderr).toMatch(/error\[text_invalid\]: 1 of 2 files/);
    expect((await inspect('nothing-*.jsonl')).stderr).toMatch(/error\[file_missing\]/);
    expect((await inspect('chars.json')).stderr).toMatch(/error\[text_invalid\]: .*tells no format/);
  });
});
