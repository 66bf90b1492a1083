import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunDirectory } from './directory.ts';
import { listRuns, RunsReader } from './reader.ts';

let runsDir: string;
let run: RunDirectory;
let time: number;

const open = (name: string) => RunDirectory.open({ runsDir, name, recipe: { name }, now: () => time });

beforeEach(() => {
  time = 1e12;
  runsDir = mkdtempSync(join(tmpdir(), 'reader-'));
  run = open('a');
});
afterEach(() => {
  run.close();
  rmSync(runsDir, { recursive: true, force: true });
});

/** What this process has read from files so far; undefined where the system does not count it. */
function readBytes(): number | undefined {
  if (!existsSync('/proc/self/io')) return undefined;
  return Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))![1]);
}

describe('RunsReader', () => {
  it('gives what a fresh reading gives, after every change of a run', async () => {
    const reader = new RunsReader();
    const changes: (() => void)[] = [
      () => run.appendEvent({ type: 'run_started' }),
      () => run.appendEvent({ type: 'stage_started', stage: 'train', total_steps: 9 }),
      () => run.appendMetrics({ step: 1, loss_train_nats: 3 }),
      () => run.appendMetrics({ step: 2, loss_train_nats: 2 }),
      () => run.writeProgress({ stage: 'train', done: 1, total: 2, unit: 'tokens' }),
      () => run.rewindMetrics(1),
      () => mkdirSync(join(run.path, 'checkpoints', 'step-1'), { recursive: true }),
      () => writeFileSync(join(run.path, 'checkpoints', 'step-1', 'model'), 'x'.repeat(1000)),
      () => rmSync(join(run.path, 'checkpoints'), { recursive: true }),
      () => appendFileSync(join(run.path, 'events.jsonl'), '{"type":"run_comp'),
      () => appendFileSync(join(run.path, 'events.jsonl'), 'leted","time":"2030"}\n'),
      () => writeFileSync(join(run.path, 'events.jsonl'), '{"type":"run_started","time":"2031"}\n'),
      () => open('b').close(),
      () => run.close(),
      () => rmSync(run.path, { recursive: true }),
    ];
    const seen = new Set<string>();
    for (const change of changes) {
      time += 1000;
      // Past the granularity of the file system's times.
      await sleep(20);
      change();
      const runs = reader.list(runsDir);
      expect(runs).toEqual(listRuns(runsDir));
      expect(reader.list(runsDir)).toEqual(runs);
      seen.add(JSON.stringify(runs));
    }
    // An empty folder, and the removal of what was added, show nothing new.
    expect(seen.size).toBe(changes.length - 2);
  });

  it('tells by the object that nothing has changed', () => {
    const reader = new RunsReader();
    const first = reader.status(run.path);
    expect(reader.status(run.path)).toBe(first);
    run.appendEvent({ type: 'run_started' });
    expect(reader.status(run.path)).not.toBe(first);
  });

  it.skipIf(readBytes() === undefined)('does not read again what it has read', () => {
    const line = `${JSON.stringify({ time: '2030', type: 'sample', step: 1, prompt: 'x', text: 'y'.repeat(9000) })}\n`;
    appendFileSync(join(run.path, 'events.jsonl'), line.repeat(500));
    const reader = new RunsReader();
    const cost = () => {
      const before = readBytes()!;
      reader.list(runsDir);
      return readBytes()! - before;
    };
    expect(cost()).toBeGreaterThan(4e6);
    expect(cost()).toBeLessThan(1e5);
    run.appendEvent({ type: 'run_completed' });
    expect(cost()).toBeLessThan(1e5);
  });
});
