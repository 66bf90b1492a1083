/** A run that draws its shards from an object store is the run on the disk, to the bit, through faults, evictions and kills. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { TIMED, Workplace } from '../e2e/tiny-run.ts';
import { S3Server } from '../s3/server.ts';
import { lastStep } from './traces.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

let place: Workplace;
let server: S3Server;
beforeAll(async () => {
  place = new Workplace();
  server = await S3Server.start({ buckets: ['data'] });
  vi.stubEnv('AWS_ENDPOINT_URL', server.endpoint);
  vi.stubEnv('AWS_ACCESS_KEY_ID', server.keys.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', server.keys.secretAccessKey);
  vi.stubEnv('AWS_REGION', 'us-east-1');
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await server.close();
  await place.close();
});

/** Losses and evaluations; bytes of text are not known of shards. */
const figures = () =>
  place
    .lines('tiny', 'metrics')
    .map((line) =>
      Object.entries(line).filter(([key]) => !TIMED.includes(key) && key !== 'bits_per_byte_train'),
    );
const weights = () => readFileSync(join(place.latest('tiny'), 'model.safetensors'));

it('killed and continued, with faults and a cache that holds little more than a batch needs', async () => {
  const short = { train: { duration: '24step', prompts: [] } };
  expect((await place.call('train', place.recipe('tiny', short), '--threads', '1')).code).toBe(0);
  const [expected, expectedFigures] = [weights(), figures()];
  const shards = join(place.dataDir, 'shards');
  const [key] = readdirSync(shards).filter((name) => !name.includes('.'));
  const urls: Record<string, Record<string, string>> = { train: {}, heldout: {} };
  for (const split of ['train', 'heldout']) {
    for (const domain of ['prose', 'notes']) {
      const dir = join(shards, key!, split, domain);
      for (const file of readdirSync(dir))
        server.put(`${split}/${domain}/${file}`, readFileSync(join(dir, file)));
      urls[split]![domain] = `s3://data/${split}/${domain}`;
    }
  }
  const tokenizer = readFileSync(place.run('tiny', 'tokenizer.json'));
  await place.call('runs', 'rm', 'tiny', '--yes');
  place.write('given.json', tokenizer);
  const recipe = place.recipe('tiny', {
    ...short,
    data: {
      domains: undefined,
      heldOut: undefined,
      shards: urls,
      stream: { cacheLimit: '160kB', predownload: 64 },
    },
    tokenizer: { kind: 'file', path: 'given.json', vocabSize: undefined },
  });
  server.faults.add({ kind: 'error', every: 4 }, { kind: 'truncate', key: /\.mds$/, every: 3 });
  const killed = place.start('train', recipe, '--threads', '1');
  await killed.until(() => lastStep(place) >= 12);
  await killed.kill('SIGKILL');
  const continued = await place.call('train', recipe, '--threads', '1');
  expect(continued.stderr).toContain('Continuing from step');
  expect(continued.code).toBe(0);
  expect(weights().equals(expected)).toBe(true);
  expect(figures()).toEqual(expectedFigures);
  expect(server.requests.filter(({ status }) => status === 500).length).toBeGreaterThan(2);

  server.put('train/prose/index.json', readFileSync(join(shards, key!, 'train', 'notes', 'index.json')));
  const other = await place.call('train', recipe, '--threads', '1');
  expect(other.stderr).toContain('error[checkpoint_mismatch]');
});
