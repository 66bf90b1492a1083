import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DabarexError, fileError, writeFileAtomic, writeFilePartsAtomic } from './index.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-files-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function errorOf(action: () => unknown): DabarexError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(DabarexError);
    return error as DabarexError;
  }
  throw new Error('did not throw');
}

describe('a file that cannot be written', () => {
  it('because something else stands there is named, and nothing is left', () => {
    mkdirSync(join(root, 'folder'));
    writeFileSync(join(root, 'file'), '');
    for (const path of [join(root, 'folder'), join(root, 'file', 'below')]) {
      const error = errorOf(() => writeFileAtomic(path, 'text'));
      expect(error.code).toBe('path_unusable');
      expect(error.message).toContain(join(root, path.includes('below') ? 'file' : 'folder'));
    }
    expect(readdirSync(root).sort()).toEqual(['file', 'folder']);
  });

  it.skipIf(!existsSync('/dev/full'))('for want of space says so, with its path', () => {
    // A device without space: the temporary file is a link to it.
    const path = join(root, 'metrics');
    execFileSync('ln', ['-s', '/dev/full', `${path}.tmp-${process.pid}`]);
    const error = errorOf(() => writeFileAtomic(path, 'text'));
    expect(error).toMatchObject({ code: 'disk_full', fields: { path, reason: 'ENOSPC' } });
    expect(error.message).toContain(path);
    expect(existsSync(path)).toBe(false);
  });

  it.skipIf(!existsSync('/proc/self/fd'))('gives its file handle back', () => {
    const numOpen = () => readdirSync('/proc/self/fd').length;
    function* broken(): Generator<Uint8Array> {
      yield new Uint8Array(10);
      throw new Error('no more');
    }
    const before = numOpen();
    for (let i = 0; i < 50; i++) {
      expect(() => writeFilePartsAtomic(join(root, 'parts'), broken())).toThrow('no more');
    }
    expect(numOpen()).toBeLessThan(before + 10);
  });
});

describe('an error of the system', () => {
  const system = (code: string) =>
    Object.assign(new Error(code), { code, errno: -1, syscall: 'open', path: '/p' });

  it.each([
    ['ENOSPC', 'disk_full'],
    ['EDQUOT', 'disk_full'],
    ['EACCES', 'not_permitted'],
    ['EPERM', 'not_permitted'],
    ['EROFS', 'not_permitted'],
    ['ENOENT', 'file_missing'],
    ['ENOTDIR', 'path_unusable'],
    ['EMFILE', 'path_unusable'],
  ])('%s becomes %s', (name, code) => {
    expect(fileError(system(name))).toMatchObject({ code, fields: { path: '/p', reason: name } });
  });

  it('of another kind, and any other error, stays what it is', () => {
    const coded = new DabarexError('data_empty', 'x');
    for (const error of [system('ECONNRESET'), new TypeError('x'), coded, 'text']) {
      expect(fileError(error)).toBe(error);
    }
  });
});
