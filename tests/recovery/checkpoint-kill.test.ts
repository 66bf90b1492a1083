import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { latestCheckpoint, listCheckpoints, readSafetensors } from '../../src/checkpoint/index.ts';

const KILLS = 16;

it(`a run killed by SIGKILL while it saves, ${KILLS} times, always has a whole and newer checkpoint`, async () => {
  const run = mkdtempSync(join(tmpdir(), 'dabarex-kill-'));
  let killedWhileSaving = 0;
  let last = 0;
  for (let i = 0; i < KILLS; i++) {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', new URL('./save-forever.ts', import.meta.url).pathname, run],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    await sleep(3 * i + 1);
    child.kill('SIGKILL');
    expect((await exited)[1]).toBe('SIGKILL');
    if (readdirSync(join(run, 'checkpoints')).some((name) => name.includes('.tmp-'))) killedWhileSaving++;
    const latest = latestCheckpoint(run)!;
    expect(latest.step).toBeGreaterThan(last);
    last = latest.step;
    for (const { step, dir } of listCheckpoints(run)) expectWhole(dir, step);
  }
  expect(killedWhileSaving).toBeGreaterThan(0);
  rmSync(run, { recursive: true });
}, 240_000);

function expectWhole(dir: string, step: number): void {
  const files = [
    ['model.safetensors', ['a', 'b']],
    ['training/optimizer.safetensors', ['m']],
  ] as const;
  for (const [name, tensors] of files) {
    const file = readSafetensors(join(dir, name));
    for (const tensor of tensors) expect(file.read(tensor).every((value) => value === step)).toBe(true);
    file.close();
  }
}
