import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { S3Server } from '../../../tests/s3/server.ts';
import { Rng } from '../../base/index.ts';
import type { Batch } from '../batch.ts';
import { streamConfigSchema } from '../config.ts';
import { MdsWriter } from '../mds-writer.ts';
import type { StreamingState } from '../streaming-state.ts';
import { BatchLoader, type BatchLoaderOptions } from './loader.ts';

const LENGTH = 16;
const folder = mkdtempSync(join(tmpdir(), 'dabarex-remote-'));
const names = ['prose', 'code'];
const local = Object.fromEntries(names.map((name) => [name, join(folder, name)]));
const urls = Object.fromEntries(names.map((name) => [name, `s3://data/tokens/${name}`]));
const loaders: BatchLoader[] = [];
let server: S3Server;
let caches = 0;
let shardBytes = 0;

beforeAll(async () => {
  server = await S3Server.start({ buckets: ['data'] });
  for (const [i, name] of names.entries()) {
    const rng = new Rng(i);
    const dir = local[name]!;
    const writer = new MdsWriter({
      dir,
      columns: { tokens: 'ndarray:int32' },
      sizeLimit: 4000,
      hashes: ['sha256'],
    });
    for (let s = 0; s < 300; s++) {
      writer.write({ tokens: Int32Array.from({ length: LENGTH + 1 }, () => rng.below(9)) });
    }
    writer.finish();
    for (const file of readdirSync(dir)) {
      const bytes = readFileSync(join(dir, file));
      server.put(`tokens/${name}/${file}`, bytes);
      if (file.endsWith('.mds')) shardBytes = Math.max(shardBytes, bytes.length);
    }
  }
});
afterEach(async () => {
  server.faults.clear();
  server.requests.length = 0;
  for (const loader of loaders.splice(0)) await loader.close();
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

async function open(change: Partial<BatchLoaderOptions> = {}, cacheLimitBytes = 1e9): Promise<BatchLoader> {
  const loader = await BatchLoader.open({
    streams: urls,
    seed: 3,
    endOfText: 0,
    mixes: [],
    order: streamConfigSchema.parse({ blockSize: 40 }),
    numSequences: 4,
    sequenceLength: LENGTH,
    remote: {
      cacheDir: join(folder, `cache-${caches++}`),
      cacheLimitBytes,
      predownload: 100,
      stores: { s3: server.s3, limits: { retry: { baseDelayMs: 1, maxDelayMs: 5 } } },
    },
    ...change,
  });
  loaders.push(loader);
  return loader;
}

async function batchesOf(loader: BatchLoader, count: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let i = 0; i < count; i++) {
    loader.setMix(i < count / 2 ? { prose: 0.7, code: 0.3 } : { prose: 0.2, code: 0.8 });
    batches.push(await loader.nextBatch(4, LENGTH));
  }
  return batches;
}

const gets = () => server.requests.filter(({ method, key }) => method === 'GET' && key.endsWith('.mds'));

describe('remote streams', () => {
  it('give the batches of the same shards on disk, and fetch each shard once', async () => {
    const here = await batchesOf(await open({ streams: local }), 100);
    expect(await batchesOf(await open(), 100)).toEqual(here);
    const keys = gets().map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    const tiny = await open({}, 10 * shardBytes);
    expect(await batchesOf(tiny, 100)).toEqual(here);
    server.faults.add({ kind: 'error', every: 3 }, { kind: 'truncate', key: /\.mds$/, every: 4 });
    const faulty = await open();
    expect(await batchesOf(faulty, 50)).toEqual(await batchesOf(await open({ streams: local }), 50));
    expect(server.requests.some(({ status }) => status === 500)).toBe(true);
  });

  it('tell of an object that is lost by its code, at the batch that needs it', async () => {
    const loader = await open();
    server.remove('tokens/code/shard.00001.mds');
    let given = 0;
    const all = async () => {
      for (; given < 150; given++) await loader.nextBatch(4, LENGTH);
    };
    await expect(all()).rejects.toMatchObject({ code: 'object_missing' });
    const { code, prose } = (loader.state() as StreamingState).streams;
    expect(code!.drawn + prose!.drawn).toBe(4 * given);
    await expect(open({ streams: { verse: 's3://data/tokens/verse' } })).rejects.toMatchObject({
      code: 'object_missing',
    });
  });
});
