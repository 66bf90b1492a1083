/** The layer check itself: clean on this repository, and able to fail. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { layerRows, repository } from './repository.ts';

const { findViolations } = await import(join(repository, 'scripts/layers.mjs'));
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A repository of the given files, by path. */
function repositoryOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'dabarex-layers-'));
  folders.push(folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const rows = [['base'], ['left', 'right'], ['top']];
const good = {
  'src/base/index.ts': 'export type Unit = string;\nexport const unit: Unit = "token";\n',
  'src/left/index.ts': 'export { unit } from "../base/index.ts";\n',
  'src/right/index.ts':
    'import type { Unit } from "../base/index.ts";\nexport const right: Unit = "right";\n',
  'src/top/index.ts':
    'export { unit } from "../left/index.ts";\nexport { right } from "../right/index.ts";\n',
};

describe('the layer check', () => {
  it('finds nothing in this repository', async () => {
    expect(await findViolations(repository, layerRows)).toEqual([]);
  });

  it('accepts imports from lower rows by index.ts', async () => {
    expect(await findViolations(repositoryOf(good), rows)).toEqual([]);
  });

  it.each([
    ['a higher row', 'src/base/index.ts', 'import "../top/index.ts";\n', 'base-imports-only-lower-rows'],
    ['a neighbour', 'src/left/index.ts', 'import "../right/index.ts";\n', 'left-imports-only-lower-rows'],
    [
      'a type of a neighbour',
      'src/left/a.ts',
      'import type { right } from "../right/index.ts";\nexport type R = typeof right;\n',
      'left-imports-only-lower-rows',
    ],
    [
      'past an index.ts',
      'src/top/a.ts',
      'import { inner } from "../left/inner.ts";\nexport const x = inner;\n',
      'enter-by-index',
    ],
    [
      'a higher row in a test',
      'src/left/a.test.ts',
      'import "../top/index.ts";\n',
      'left-imports-only-lower-rows',
    ],
  ])('refuses an import from %s', async (_, path, text, rule) => {
    const inner = { 'src/left/inner.ts': 'export const inner = 1;\n' };
    const violations = await findViolations(repositoryOf({ ...good, ...inner, [path]: text }), rows);
    expect(violations).toHaveLength(1);
    expect(violations[0]).toContain(path);
    expect(violations[0]).toContain(rule);
  });

  it('refuses a folder that no row names', async () => {
    const violations = await findViolations(
      repositoryOf({ ...good, 'src/attic/index.ts': 'export const a = 1;\n' }),
      rows,
    );
    expect(violations).toEqual(['src/attic is in no row of layers.json']);
  });
});
