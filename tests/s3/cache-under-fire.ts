/**
 * The cache under fire: processes fetch, check and release objects through one small cache from a store that does wrong, and are killed at
 * random. What they are given must always be whole, and stay so while it is held.
 *
 *   npx tsx tests/s3/cache-under-fire.ts [--minutes N] [--seed N]
 */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Rng } from '../../src/base/index.ts';
import { ObjectCache, openStore } from '../../src/storage/index.ts';
import { S3Server } from './server.ts';

const NUM_OBJECTS = 16;
const LIMIT_BYTES = 2_500_000;
const NUM_PROCESSES = 3;

/** An object's content follows from its number. */
function contentOf(i: number): Buffer {
  const rng = new Rng(i, 1);
  return Buffer.from(Uint32Array.from({ length: 20_000 + 10_000 * (i % 5) }, () => rng.nextUint32()).buffer);
}

const digest = (bytes: Uint8Array) => createHash('sha1').update(bytes).digest('hex');

function openCache(dir: string): ObjectCache {
  return new ObjectCache({
    dir,
    limitBytes: LIMIT_BYTES,
    download: { partBytes: 30_000 },
    roomTimeoutMs: 60_000,
  });
}

const openAt = (endpoint: string, credentials: S3Server['keys']) =>
  openStore('s3://data/set', {
    s3: { endpoint, credentials },
    limits: { stallTimeoutMs: 1000, retry: { baseDelayMs: 5 }, retryBudget: 1e6 },
  });

/** One process: goes on until it is killed; sends the number of what it has checked. */
async function work({
  endpoint,
  credentials,
  dir,
  seed,
}: {
  endpoint: string;
  credentials: S3Server['keys'];
  dir: string;
  seed: number;
}) {
  const cache = openCache(dir);
  const store = openAt(endpoint, credentials);
  const rng = new Rng(seed);
  const digests = Array.from({ length: NUM_OBJECTS }, (_, i) => digest(contentOf(i)));
  const lane = async () => {
    for (;;) {
      const i = rng.below(NUM_OBJECTS);
      const object = await cache.fetch(store, `shard-${i}`);
      for (let look = 0; look < 2; look++) {
        if (digest(readFileSync(object.path)) !== digests[i]) throw new Error(`shard-${i} is not whole`);
        await sleep(rng.below(30));
      }
      object.release();
      process.send?.(i);
    }
  };
  await Promise.all([lane(), lane()]);
}

async function attack(minutes: number, seed: number): Promise<void> {
  const server = await S3Server.start();
  const dir = mkdtempSync(join(tmpdir(), 'dabarex-fuzz-'));
  for (let i = 0; i < NUM_OBJECTS; i++) server.put(`set/shard-${i}`, contentOf(i));
  for (const [i, kind] of (['truncate', 'error', 'stall', 'reset', 'wrong-range'] as const).entries()) {
    server.faults.add({ kind, every: 23 + 6 * i });
  }
  const rng = new Rng(seed);
  const failures: string[] = [];
  let checked = 0;
  let kills = 0;
  const endAt = performance.now() + minutes * 60_000;
  const keepAlive = async (lane: number) => {
    for (let life = 0; performance.now() < endAt && failures.length === 0; life++) {
      const task = {
        endpoint: server.endpoint,
        credentials: server.keys,
        dir,
        seed: seed + 1000 * lane + life,
      };
      const child = fork(fileURLToPath(import.meta.url), ['--task', JSON.stringify(task)], {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      });
      let errors = '';
      child.stderr!.on('data', (text) => (errors += text));
      const gone = new Promise<number | null>((done) => child.on('exit', (code) => done(code)));
      await Promise.race([new Promise((done) => child.once('message', done)), gone]);
      child.on('message', () => checked++);
      await Promise.race([sleep(rng.below(3000)), gone]);
      child.kill('SIGKILL');
      kills++;
      if ((await gone) !== null) failures.push(errors);
    }
  };
  await Promise.all(Array.from({ length: NUM_PROCESSES }, (_, lane) => keepAlive(lane)));
  server.faults.clear();
  const cache = openCache(dir);
  for (let i = 0; i < NUM_OBJECTS && failures.length === 0; i++) {
    const object = await cache.fetch(openAt(server.endpoint, server.keys), `shard-${i}`);
    if (digest(readFileSync(object.path)) !== digest(contentOf(i)))
      failures.push(`shard-${i} is not whole in the end`);
    object.release();
  }
  cache.close();
  console.log(
    JSON.stringify({ seed, kills, checked, requests: server.requests.length, failures: failures.length }),
  );
  for (const each of failures) console.error(each);
  process.exitCode = failures.length ? 1 : 0;
  await server.close();
  rmSync(dir, { recursive: true, force: true });
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    task: { type: 'string' },
  },
});
void (values.task ? work(JSON.parse(values.task)) : attack(Number(values.minutes), Number(values.seed)));
