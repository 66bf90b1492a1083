import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { MdsWriter } from '../../../stream/index.ts';
import { run } from '../../run.suite.ts';

const dir = mkdtempSync(join(tmpdir(), 'dabarex-simulate-'));
afterAll(() => rmSync(dir, { recursive: true }));

const simulate = (...args: string[]) => run(['data', 'simulate', ...args]);
const plan = ['--samples', '100000', '--shard-samples', '1000', '--batch', '64'];

describe('data simulate', () => {
  it('reads the shards of an index, and tells what they cost as a table, as JSON and as a figure', async () => {
    const writer = new MdsWriter({ dir: join(dir, 'shards'), columns: { id: 'int' }, sizeLimit: 1000 });
    for (let id = 0; id < 1000; id++) writer.write({ id });
    writer.finish();
    const args = ['--index', join(dir, 'shards'), '--batch', '8', '--svg', join(dir, 'run.svg')];
    const table = await simulate(...args);
    expect(table.stdout).toMatch(/downloads +1\d shards/);
    expect(readFileSync(join(dir, 'run.svg'), 'utf8')).toMatch(
      /^<svg[^>]*>[\s\S]*steps a second[\s\S]*<\/svg>\n$/,
    );
    const { stdout } = await simulate(...args, '--json');
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({
      num_samples: 1000,
      num_steps: 125,
      shuffle: 'block',
      cache_too_small: false,
    });
    expect(found.num_downloads).toBe(found.num_shards);
    expect(found.timeline).toHaveLength(125);
  });

  it('takes the order of a recipe, where no option says another', async () => {
    const order = 'stream:\n    shuffle: py1e\n    blockSize: 1000\n    canonicalNodes: 2\n  ';
    const path = join(dir, 'ordered.yaml');
    writeFileSync(
      path,
      readFileSync('recipes/quickstart.yaml', 'utf8').replace(/^data:\n +/m, `data:\n  ${order}`),
    );
    const found = async (...more: string[]) =>
      JSON.parse((await simulate(path, ...plan, '--json', ...more)).stdout);
    expect(await found()).toMatchObject({ shuffle: 'py1e', block_size: 1000, canonical_nodes: 2 });
    expect(await found('--shuffle', 'block')).toMatchObject({ shuffle: 'block', block_size: 1000 });
  });

  it('takes the batch of a recipe, and says when the cache is too small', async () => {
    const { stdout } = await simulate(
      'quickstart',
      ...plan.slice(0, 4),
      '--devices',
      '1',
      '--cache-limit',
      '70MB',
    );
    expect(stdout).toContain('give at least');
  });

  it.each([
    ['no shards', ['--batch', '8'], /Say which shards/],
    ['shards twice', ['--index', 'a', ...plan], /cannot be given too/],
    ['no batch', plan.slice(0, 4), /Say how many sequences/],
    ['a batch that cannot be shared', [...plan, '--nodes', '5'], /multiple of 40/],
    ['too many shards', ['--samples', '900000000000', '--shard-samples', '1', '--batch', '8'], /more than/],
    [
      'more canonical nodes than samples',
      ['--samples', '8', '--shard-samples', '8', '--batch', '8', '--canonical-nodes', '9'],
      /cannot share/,
    ],
    ['more steps than can be followed', [...plan, '--steps', '999999999999'], /Choose fewer steps/],
    ['no index', ['--index', join(dir, 'none'), '--batch', '8'], /index\.json is missing/],
    ['a size that is none', [...plan, '--cache-limit', 'much'], /as 500MB/],
    ['a step of no time', [...plan, '--step-time', '0'], /above 0/],
  ])('refuses %s', async (_, args, problem) => {
    const { code, stderr } = await simulate(...args);
    expect(code).toBe(
      problem.source.startsWith('cannot share') || problem.source.startsWith('index') ? 1 : 2,
    );
    expect(stderr).toMatch(problem);
  });
});
