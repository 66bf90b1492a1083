import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nativeInstructionSets } from '../../tensor/index.ts';
import { type Outcome, run } from '../run.suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'dabarex-doctor-'));
afterAll(() => rmSync(folder, { recursive: true }));
const runsDir = join(folder, 'runs');
const cacheDir = join(folder, 'cache');
// A file where a folder would have to be made, which stops root too.
writeFileSync(join(folder, 'file'), '');
const nowhere = join(folder, 'file', 'cache');

describe('dabarex doctor --json', () => {
  let outcome: Outcome;
  beforeAll(async () => {
    outcome = await run(['doctor', '--threads', '2', '--json'], { runsDir, cacheDir });
  });

  it('measures the machine', () => {
    const { speeds, engine, memory, huge_page_share: hugePageShare } = JSON.parse(outcome.stdout);
    expect(outcome.code).toBe(0);
    expect(speeds.map(({ threads }: { threads: number }) => threads)).toEqual([1, 2]);
    for (const { f32_flops, bf16_flops, read_bandwidth, undisturbed } of speeds) {
      for (const rate of [f32_flops, bf16_flops ?? f32_flops, read_bandwidth])
        expect(rate).toBeGreaterThan(1e6);
      expect(undisturbed).toBeGreaterThan(0);
      expect(undisturbed).toBeLessThanOrEqual(1);
    }
    expect(engine.available).toEqual(nativeInstructionSets());
    expect(engine.kernels).toMatch(engine.native_missing === null ? /^native-/ : /^reference$/);
    expect(memory.available_bytes).toBeGreaterThan(0);
    expect(memory.total_bytes).toBeGreaterThanOrEqual(memory.available_bytes);
    if (hugePageShare !== null) expect(hugePageShare).toBeLessThanOrEqual(1);
  });

  it('looks at the folders, and leaves none behind', () => {
    const { places } = JSON.parse(outcome.stdout);
    const missing = { exists: false, writable: true, size_bytes: 0 };
    expect(places).toEqual({ runs: { path: runsDir, ...missing }, cache: { path: cacheDir, ...missing } });
  });
});

it('prints tables for people; fails with machine_unfit where a folder cannot be written', async () => {
  const { code, stdout, stderr } = await run(['doctor'], { runsDir, cacheDir: nowhere });
  expect(stdout).toMatch(/^processor +\S/);
  expect(stdout).toMatch(/threads +peak f32 +peak bf16 +read bandwidth/);
  expect(stdout).toContain(`broken  ${nowhere} cannot be written.`);
  expect(code).toBe(1);
  expect(stderr.match(/^error\[(\w+)\]: .*DABAREX_HOME/)?.[1]).toBe('machine_unfit');
});
