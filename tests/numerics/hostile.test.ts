/** In a child process, so that a crash of the addon is a failure with a name. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Addon } from '../../src/tensor/native/addon.ts';
import { findAddon } from '../../src/tensor/native/addon-file.ts';
import { unknownMethods } from '../../src/tensor/native/hostile.suite.ts';
import { nativeInstructionSets } from '../../src/tensor/native.ts';

const RUNS = 300;

describe.skipIf(nativeInstructionSets().length === 0)('the addon', () => {
  it('has no method that is not called here', () => {
    const { path } = findAddon(fileURLToPath(new URL('../..', import.meta.url)));
    const addon = createRequire(import.meta.url)(path!) as Addon;
    expect(unknownMethods(addon.create(nativeInstructionSets()[0]!))).toEqual([]);
  });

  it.each(nativeInstructionSets())(
    '%s: refuses every call that does not fit, with a code',
    (isa) => {
      const folder = mkdtempSync(join(tmpdir(), 'dabarex-hostile-'));
      const trace = join(folder, 'call');
      const script = fileURLToPath(new URL('hostile-calls.ts', import.meta.url));
      const { status, signal, stdout, stderr } = spawnSync(
        process.execPath,
        ['--import', 'tsx', script, isa, String(RUNS), trace],
        { encoding: 'utf8', timeout: 100_000, killSignal: 'SIGKILL' },
      );
      const call = readFileSync(trace, 'utf8').trim();
      rmSync(folder, { recursive: true });
      if (signal) expect.fail(`ended by ${signal} in ${call}`);
      expect(stderr).toBe('');
      expect({ status, stdout }).toEqual({ status: 0, stdout: 'survived\n' });
    },
    120_000,
  );
});
