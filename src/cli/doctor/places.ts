/** The folders dabarex writes to: whether it may, and how much is there. */
import { existsSync, mkdtempSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Place {
  readonly path: string;
  readonly exists: boolean;
  /** whether files can be written there, or the folder made */
  readonly writable: boolean;
  /** of all files below; 0 where there is no folder */
  readonly sizeBytes: number;
}

export function inspectPlace(path: string): Place {
  const exists = existsSync(path);
  return { path, exists, writable: isWritable(path), sizeBytes: exists ? sizeOf(path) : 0 };
}

/** Tries it, in the nearest folder above that exists. */
function isWritable(path: string): boolean {
  if (!existsSync(path) && dirname(path) !== path) return isWritable(dirname(path));
  try {
    rmdirSync(mkdtempSync(join(path, '.dabarex-doctor-')));
    return true;
  } catch {
    return false;
  }
}

function sizeOf(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return stat?.size ?? 0;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}
