import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { RunDirectory } from '../../runs/index.ts';
import { run } from '../run.suite.ts';

const runsDir = mkdtempSync(join(tmpdir(), 'dabarex-runs-'));
afterAll(() => rmSync(runsDir, { recursive: true }));

it('says how to start where there are none', async () => {
  const { code, stdout } = await run(['runs', '--runs-dir', runsDir]);
  expect(code).toBe(0);
  expect(stdout).toContain('dabarex up quickstart');
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
  expect(JSON.parse(json.stdout)).toMatchObject({
    name: 'first',
    size_bytes: expect.any(Number),
    status: { state: 'completed', step: 40, updated_at: '2026-01-02T00:00:00.000Z' },
  });
});

it('shows what a terminal would obey as text, and cuts an endless message', async () => {
  const { code, stderr } = await run(['model', 'info', `\u001b[31m${'x'.repeat(9000)}`]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error\[file_missing\].*\\u001b\[31mx/);
  expect(stderr).not.toContain('\u001b');
  expect(stderr.length).toBeLessThan(4200);
});

describe('runs rm', () => {
  const make = (name: string) => RunDirectory.open({ runsDir, name, recipe: { name }, now: Date.now });
  const remove = (name: string, ...flags: string[]) =>
    run(['runs', 'rm', name, '--runs-dir', runsDir, ...flags]);
  const isThere = (name: string) => existsSync(join(runsDir, name));
  const typed = (text: string) => Object.assign(Readable.from([text]), { isTTY: true }) as never;

  it('removes a run with --yes, and that one alone', async () => {
    make('kept').close();
    make('old').close();
    const { code, stdout } = await remove('old', '--yes', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ removed: join(runsDir, 'old') });
    expect([isThere('old'), isThere('kept')]).toEqual([false, true]);
  });

  it('asks on a terminal and takes nothing but yes for yes; without one it wants --yes', async () => {
    make('asked').close();
    const args = ['runs', 'rm', 'asked', '--runs-dir', runsDir];
    const silent = await run(args, { stdin: Object.assign(Readable.from([]), { isTTY: false }) as never });
    expect(silent).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
    const no = await run(args, { stdin: typed('\n') });
    expect(no).toMatchObject({ code: 0, stdout: 'Nothing was removed.\n' });
    expect(isThere('asked')).toBe(true);
    const yes = await run(args, { stdin: typed('y\n') });
    expect(yes.stderr).toContain(`Remove ${join(runsDir, 'asked')} (created, step 0)`);
    expect(isThere('asked')).toBe(false);
  });

  it('refuses a run that is being written, and what is no run', async () => {
    const busy = make('busy');
    const refused = await remove('busy', '--yes');
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('error[run_locked]') });
    expect(isThere('busy')).toBe(true);
    busy.close();
    for (const name of ['nothing', '..', `../${basename(runsDir)}/busy`]) {
      expect((await remove(name, '--yes')).stderr).toContain('error[run_missing]');
    }
    expect(isThere('busy')).toBe(true);
  });
});
