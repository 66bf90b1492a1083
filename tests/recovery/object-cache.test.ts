/** The cache among real processes: each object fetched once, what a killed one left taken over, what another one holds left alone. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ObjectCache, openStore } from '../../src/storage/index.ts';
import { repository } from '../house/repository.ts';
import type { FetchReport, FetchTask } from '../s3/fetch-process.ts';
import { S3Server } from '../s3/server.ts';

const PART = 100_000;
let server: S3Server;
let root: string;
let dir: string;
const children: Fetcher[] = [];

class Fetcher {
  readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;

  /** @param maxFileKb what the system lets the process write of one file: more is as if the disk were full */
  constructor(task: Partial<FetchTask>, maxFileKb?: number) {
    const whole = { url: 's3://data/set', s3: server.s3, dir, limitBytes: 1e9, partBytes: PART, ...task };
    const tsx = join(repository, 'node_modules/tsx/dist/loader.mjs');
    const script = join(repository, 'tests/s3/fetch-process.ts');
    const command = [process.execPath, '--import', tsx, script, JSON.stringify(whole)];
    this.child =
      maxFileKb === undefined
        ? spawn(command[0]!, command.slice(1))
        : spawn('bash', ['-c', `ulimit -f ${maxFileKb}; exec "$@"`, 'bash', ...command]);
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    children.push(this);
  }

  async ready(): Promise<void> {
    expect((await this.lines.next()).value).toBe('ready');
  }

  start(): void {
    this.child.stdin.write('go\n');
  }

  async report(): Promise<FetchReport & { code?: string }> {
    return JSON.parse((await this.lines.next()).value);
  }

  /** As `kill -9` does; resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((done) => this.child.once('exit', done));
    this.child.kill('SIGKILL');
    await gone;
  }
}

function put(key: string, sizeBytes: number): string {
  const bytes = randomBytes(sizeBytes);
  server.put(`set/${key}`, bytes);
  return createHash('sha256').update(bytes).digest('hex');
}

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
});
afterEach(async () => {
  for (const each of children.splice(0)) await each.kill();
  server.faults.clear();
  server.requests.length = 0;
});

describe('processes that share a cache', () => {
  it('start together and fetch each index and shard exactly once, without a listing or a look', async () => {
    const keys = ['index.json', 'shard.00000.mds', 'shard.00001.mds', 'shard.00002.mds'];
    const hashes = keys.map((key, i) => put(key, 30_000 + i * 20_000));
    const fetchers = Array.from({ length: 3 }, () => new Fetcher({ keys }));
    await Promise.all(fetchers.map((each) => each.ready()));
    for (const each of fetchers) each.start();
    const reports = await Promise.all(fetchers.map((each) => each.report()));
    for (const { sha256 } of reports) expect(sha256).toEqual(hashes);
    expect(server.requests.map(({ method, key }) => `${method} ${key}`).sort()).toEqual(
      keys.map((key) => `GET set/${key}`),
    );
    expect(reports.reduce((sum, { downloads }) => sum + downloads, 0)).toBe(keys.length);
  });

  it('take over from one that is killed, and fetch only what it had not', async () => {
    const hash = put('large.mds', 20 * PART);
    server.faults.add({ kind: 'stall', bytes: 10, every: 9 });
    const [first, second] = [new Fetcher({ keys: ['large.mds'] }), new Fetcher({ keys: ['large.mds'] })];
    await Promise.all([first.ready(), second.ready()]);
    first.start();
    // One range in nine stalls, so in the end four hang and the rest is there.
    const journal = () => {
      const name = readdirSync(join(dir, 'partial')).find((each) => each.endsWith('.parts'));
      return name
        ? readFileSync(join(dir, 'partial', name), 'utf8')
            .trim()
            .split('\n').length - 1
        : 0;
    };
    await expect.poll(journal).toBeGreaterThanOrEqual(8);
    second.start();
    server.faults.clear();
    await first.kill();
    const had = journal();
    const before = server.requests.length;
    const report = await second.report();
    expect(report).toMatchObject({ sha256: [hash], downloads: 1 });
    expect(server.requests.length - before).toBe(20 - had);
    expect(readdirSync(join(dir, 'partial'))).toEqual([]);
  });

  it('leave alone what another holds, until it is killed', async () => {
    put('a', 600_000);
    put('b', 600_000);
    const holder = new Fetcher({ keys: ['a'], partBytes: 1e6 });
    await holder.ready();
    holder.start();
    const { paths } = await holder.report();
    const cache = new ObjectCache({ dir, limitBytes: 1e6, roomTimeoutMs: 0 });
    const store = openStore('s3://data/set', { s3: server.s3 });
    await expect(cache.fetch(store, 'b')).rejects.toMatchObject({ code: 'cache_too_small' });
    expect(readFileSync(paths[0]!).length).toBe(600_000);
    await holder.kill();
    expect((await cache.fetch(store, 'b')).sizeBytes).toBe(600_000);
    expect(() => readFileSync(paths[0]!)).toThrow('ENOENT');
    cache.close();
  });

  it.skipIf(process.platform === 'win32')('tell of a full disk, and go on with what is there', async () => {
    const small = put('small', 50_000);
    put('large', 3_000_000);
    const [first, second] = [new Fetcher({ keys: ['large'] }, 1000), new Fetcher({ keys: ['small'] }, 1000)];
    await Promise.all([first.ready(), second.ready()]);
    first.start();
    expect((await first.report()).code).toBe('disk_full');
    expect(readdirSync(join(dir, 'partial'))).toEqual([]);
    second.start();
    expect((await second.report()).sha256).toEqual([small]);
  });

  it('that ask for more than a store allows all get it, with few refusals', async () => {
    const store = openStore('s3://data/set', { s3: server.s3, limits: { retry: { baseDelayMs: 10 } } });
    const keys = Array.from({ length: 120 }, (_, i) => `many/${i}`);
    for (const key of keys) server.put(`set/${key}`, key);
    server.faults.throttleTo({ perSecond: 100, burst: 10 });
    const cache = new ObjectCache({ dir, limitBytes: 1e6 });
    const objects = await Promise.all(keys.map((key) => cache.fetch(store, key)));
    expect(objects.map(({ path }) => readFileSync(path, 'utf8'))).toEqual(keys);
    expect(server.requests.filter(({ status }) => status === 503).length).toBeLessThan(keys.length);
    expect(server.requests.length).toBeLessThan(2 * keys.length);
    cache.close();
  });
});
