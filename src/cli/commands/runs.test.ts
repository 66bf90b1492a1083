import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { RunDirectory } from '../../runs/index.ts';
import { run } from '../run.suite.ts';

const runsDir = mkdtempSync(join(tmpdir(), 'dabarex-runs-'));
afterAll(() => rmSync(runsDir, { recursive: true }));

it('says how to start where there are none', async () => {
  const { code, stdout } = await run(['runs', '--runs-dir', runsDir]);
  expect(code).toBe(0);
  expect(stdout).toContain('dabarex up recipes/quickstart.yaml');
});

it('lists a run with its state and last figures, as a table and as JSON', async () => {
  const now = () => Date.UTC(2026, 0, 2);
  const directory = RunDirectory.open({ runsDir, name: 'first', recipe: { name: 'first' }, now });
  directory.appendEvent({ type: 'run_started' });
  directory.appendMetrics({ step: 40, tokens: 1000, loss_train_nats: 3.25 });
  directory.appendMetrics({ step: 40, tokens: 1000, 'eval_bits_per_byte.prose': 1.5 });
  directory.appendEvent({ type: 'run_completed' });
  directory.close();
  const table = await run(['runs', '--runs-dir', runsDir]);
  expect(table.stdout).toMatch(/first +completed +40 +- +3\.250 .*2026-01-02T00:00:00Z/);
  const json = await run(['runs', '--runs-dir', runsDir, '--json']);
  expect(JSON.parse(json.stdout)).toMatchObject({ name: 'first', status: { state: 'completed', step: 40 } });
});
