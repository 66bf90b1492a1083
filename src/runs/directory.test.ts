import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  isRunName,
  listRuns,
  type Recipe,
  RunDirectory,
  readEvents,
  readMetrics,
  readRecipe,
} from './index.ts';

const recipe: Recipe = {
  name: 'a',
  seed: 1,
  train: { duration: '2Mtok', phases: [1, 2] },
  serve: { port: 1 },
};
let runsDir: string;
let timeMs: number;

beforeEach(() => {
  runsDir = mkdtempSync(join(tmpdir(), 'runs-'));
  timeMs = Date.UTC(2026, 0, 1);
});
afterEach(() => rmSync(runsDir, { recursive: true, force: true }));

function open(name = 'a', given: Recipe = recipe): RunDirectory {
  return RunDirectory.open({ runsDir, name, recipe: given, now: () => timeMs, mayDiffer: ['serve'] });
}

function codeOf(action: () => unknown): { code?: string; message: string } {
  try {
    action();
  } catch (error) {
    return error as { code?: string; message: string };
  }
  return { message: 'did not throw' };
}

describe('RunDirectory', () => {
  it.each(['a: [', 'null', '[]', '\0\0', 'a: &a [1, *a'])('refuses a damaged recipe.yaml: %j', (damaged) => {
    open().close();
    const path = join(runsDir, 'a', 'recipe.yaml');
    writeFileSync(path, damaged);
    for (const action of [() => open(), () => readRecipe(join(runsDir, 'a'))]) {
      const { code, message } = codeOf(action);
      expect(code).toBe('config_invalid');
      expect(message).toContain(path);
    }
    expect(existsSync(join(runsDir, 'a', 'lock'))).toBe(false);
  });

  it('passes over lines that lack what readers rely on, and counts them', () => {
    const run = open();
    run.appendEvent({ type: 'run_started' });
    run.appendMetrics({ step: 5, loss_train_nats: Number.NaN });
    run.close();
    const lines = ['{}', '{"time":7,"type":"run_completed","step":1}', '{"time":"soon","type":"a","step":1}'];
    const text = '{"time":"2026-01-01T00:00:00.000Z","step":6,"loss_train_nats":"low"}';
    for (const line of lines) {
      appendFileSync(join(run.path, 'events.jsonl'), `${line}\n`);
      appendFileSync(join(run.path, 'metrics.jsonl'), `${line}\n`);
    }
    appendFileSync(join(run.path, 'metrics.jsonl'), `${text}\n`);
    expect(readEvents(run.path)).toMatchObject({ values: [{ type: 'run_started' }], damagedLines: 3 });
    expect(readMetrics(run.path)).toMatchObject({
      values: [{ step: 5, loss_train_nats: null }],
      damagedLines: 4,
    });
    expect(listRuns(runsDir)).toMatchObject([{ name: 'a', lastMetrics: { step: 5 } }]);
  });

  it('writes events and metrics that it reads back, stamped with the clock', () => {
    const run = open();
    run.appendEvent({ type: 'run_started' });
    timeMs += 1000;
    run.appendMetrics({ step: 5, loss_train_nats: 2.5, 'expert_load.0': [0.5, 0.5] });
    run.log('step 5\nloss 2.5');
    expect(run.readEvents().values).toEqual([{ time: '2026-01-01T00:00:00.000Z', type: 'run_started' }]);
    expect(run.readMetrics().values).toEqual([
      { time: '2026-01-01T00:00:01.000Z', step: 5, loss_train_nats: 2.5, 'expert_load.0': [0.5, 0.5] },
    ]);
    expect(readFileSync(join(run.path, 'log.txt'), 'utf8')).toBe(
      '2026-01-01T00:00:01.000Z step 5\n  loss 2.5\n',
    );
    expect(readRecipe(run.path)).toEqual(recipe);
    run.close();
  });

  it('refuses another recipe and names the keys, but lets named parts change', () => {
    open().close();
    const other = { ...recipe, seed: 2, train: { duration: '4Mtok', phases: [1, 3] } };
    const error = codeOf(() => open('a', other));
    expect(error.code).toBe('run_recipe_differs');
    expect(error.message).toContain('seed is 1 there and 2 now');
    expect(error.message).toContain('train.duration is "2Mtok" there and "4Mtok" now');
    expect(error.message).toContain('train.phases.1');
    expect(error.message).toContain('--set name=OTHER');
    expect(error.message).toContain(`remove ${join(runsDir, 'a')}`);
    expect(readRecipe(join(runsDir, 'a'))).toEqual(recipe);
    open('a', { ...recipe, serve: { port: 2 } }).close();
    expect(readRecipe(join(runsDir, 'a')).serve).toEqual({ port: 2 });
  });

  it('cuts off a half-written last line on opening and appends behind whole lines', () => {
    const first = open();
    first.appendMetrics({ step: 1 });
    first.close();
    const file = join(first.path, 'metrics.jsonl');
    appendFileSync(file, '{"time":"2026-01-01T00:00:00.000Z","st');
    expect(readMetrics(first.path)).toMatchObject({ incompleteTailBytes: 38 });
    expect(readMetrics(first.path).values.map((each) => each.step)).toEqual([1]);
    const second = open();
    expect(second.truncatedBytes).toBe(38);
    second.appendMetrics({ step: 2 });
    expect(readMetrics(first.path)).toMatchObject({ incompleteTailBytes: 0, damagedLines: 0 });
    expect(readMetrics(first.path).values.map((each) => each.step)).toEqual([1, 2]);
    second.close();
  });

  it('rewinds the metrics to a checkpoint', () => {
    const run = open();
    for (const step of [1, 2, 3, 4]) run.appendMetrics({ step });
    expect(run.rewindMetrics(2)).toBe(2);
    run.appendMetrics({ step: 3 });
    expect(run.readMetrics().values.map((each) => each.step)).toEqual([1, 2, 3]);
    run.close();
  });

  it('reads on from a byte, in pieces, and passes over damaged lines', () => {
    const run = open();
    for (let step = 0; step < 50; step++) run.appendMetrics({ step });
    appendFileSync(join(run.path, 'metrics.jsonl'), '\0\0\0\n');
    run.appendMetrics({ step: 50 });
    const steps: number[] = [];
    let damagedLines = 0;
    let since = 0;
    for (let pieces = 0; pieces < 1000; pieces++) {
      const read = readMetrics(run.path, since, 10);
      steps.push(...read.values.map((each) => each.step));
      damagedLines += read.damagedLines;
      if (read.nextByte === since) break;
      since = read.nextByte;
    }
    expect(steps).toEqual(Array.from({ length: 51 }, (_, step) => step));
    expect(damagedLines).toBe(1);
    expect(readMetrics(run.path, since + 100)).toMatchObject({ values: [], nextByte: since });
    run.close();
  });

  it('writes progress at most twice a second, and always at a change of stage and at the end', () => {
    const run = open();
    run.appendEvent({ type: 'stage_started', stage: 'tokenizer' });
    const report = (stage: string, done: number) => {
      run.writeProgress({ stage, done, total: 10, unit: 'merges' });
      const { progress } = run.status();
      return `${progress?.stage} ${progress?.done}`;
    };
    expect(report('count', 1)).toBe('count 1');
    timeMs += 499;
    expect(report('count', 2)).toBe('count 1');
    timeMs += 1;
    expect(report('count', 3)).toBe('count 3');
    expect(report('merge', 1)).toBe('merge 1');
    expect(report('merge', 10)).toBe('merge 10');
    run.appendEvent({ type: 'stage_completed', stage: 'tokenizer', seconds: 1 });
    expect(run.status().progress).toBeUndefined();
    run.close();
  });

  it('rejects names that are no plain folder name', () => {
    for (const name of ['', '.', '..', '../a', 'a/b', 'a\\b', '.hidden', 'a\0', 'x'.repeat(101)]) {
      expect(isRunName(name), name).toBe(false);
      expect(codeOf(() => open(name)).code).toBe('run_name_invalid');
    }
    expect(codeOf(() => readRecipe(join(runsDir, 'none'))).code).toBe('run_missing');
  });
});

describe('the lock', () => {
  it('lets one writer in at a time', () => {
    const run = open();
    expect(codeOf(() => open()).code).toBe('run_locked');
    run.close();
    open().close();
    expect(existsSync(join(run.path, 'lock'))).toBe(false);
  });

  it('holds while its process lives and is taken over after kill -9, the status telling so', async () => {
    const source = `
      import { RunDirectory } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
      const run = RunDirectory.open(${JSON.stringify({ runsDir, name: 'a', recipe }).slice(
        0,
        -1,
      )}, now: Date.now });
      run.appendEvent({ type: 'stage_started', stage: 'train', total_steps: 9 });
      process.stdout.write('held');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    expect(codeOf(() => open()).message).toContain(`process ${child.pid}`);
    expect(listRuns(runsDir)[0]!.status).toMatchObject({ state: 'training', alive: true, totalSteps: 9 });
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(listRuns(runsDir)[0]!.status).toMatchObject({ state: 'interrupted', alive: false });
    open().close();
  });

  it.each([
    ['a folder', (lock: string) => mkdirSync(lock), 'path_unusable', /lock cannot be used.*EISDIR/],
    ['a link to nothing', (lock: string) => symlinkSync('nowhere', lock), 'run_locked', /lock/],
  ] as const)('that is %s is an error that names it, not a wait for ever', (_, make, code, message) => {
    open().close();
    make(join(runsDir, 'a', 'lock'));
    const error = codeOf(() => open());
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(readdirSync(join(runsDir, 'a')).filter((name) => name.includes('.tmp-'))).toEqual([]);
  });

  it('takes over the lock of a dead process whose id another process has now, and a damaged one', () => {
    open().close();
    const lock = join(runsDir, 'a', 'lock');
    const time = '2026-01-01T00:00:00.000Z';
    writeFileSync(lock, JSON.stringify({ pid: process.pid, host: hostname(), processStart: 'other', time }));
    open().close();
    writeFileSync(lock, '{"pid":');
    open().close();
    writeFileSync(lock, JSON.stringify({ pid: 1, host: 'elsewhere', processStart: '', time }));
    expect(codeOf(() => open()).message).toContain('on elsewhere');
  });
});

describe('listRuns', () => {
  it('tells name, status, step and size of every run, the last touched first', () => {
    expect(listRuns(join(runsDir, 'absent'))).toEqual([]);
    const first = open('first');
    first.appendEvent({ type: 'run_started' });
    first.appendEvent({ type: 'run_completed' });
    first.close();
    timeMs += 1000;
    const second = open('second');
    second.appendEvent({ type: 'stage_started', stage: 'train', total_steps: 100 });
    second.appendMetrics({ step: 7, tokens: 70, eta_seconds: 12 });
    second.appendMetrics({ step: 8, loss_eval_nats: 2 });
    const runs = listRuns(runsDir);
    expect(runs.map((each) => [each.name, each.status.state, each.status.step])).toEqual([
      ['second', 'training', 8],
      ['first', 'completed', 0],
    ]);
    expect(runs[0]).toMatchObject({
      lastMetrics: { loss_eval_nats: 2 },
      status: { etaSeconds: 12, totalSteps: 100 },
    });
    expect(runs[0]!.sizeBytes).toBeGreaterThan(100);
    expect(readEvents(second.path).values).toHaveLength(1);
    second.close();
  });
});
