/**
 * The probe against the test server, and against real ones where the environment names them: DABAREX_S3_PROBE is a JSON list of
 * {"name", "endpoint", "credentials", "lacks": [checks known to fail]}; scripts/s3-servers.mjs sets moto and radosgw up and runs this.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ProbedStore, probe } from './probe.ts';
import { S3Server } from './server.ts';

interface NamedStore extends ProbedStore {
  readonly name: string;
  readonly lacks: readonly string[];
}

const others = JSON.parse(process.env.DABAREX_S3_PROBE ?? '[]') as NamedStore[];

describe('the probe', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await S3Server.start();
  });
  afterAll(() => server.close());

  it('finds nothing wrong with the test server', async () => {
    const results = await probe({ endpoint: server.endpoint, credentials: server.keys });
    expect(results.filter(({ result }) => result !== 'ok')).toEqual([]);
    expect(results.length).toBeGreaterThan(10);
  });

  it.each(others)('finds wrong with $name what is known of it', { timeout: 120_000 }, async (store) => {
    const results = await probe(store);
    for (const { check, result } of results) console.log(`${store.name}: ${check}: ${result}`);
    const failed = results.filter(({ result }) => result !== 'ok').map(({ check }) => check);
    expect(failed).toEqual(store.lacks);
  });
});
