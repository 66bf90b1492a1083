/** Removing a run: only whole, and never under the hands of its writer. */
import { existsSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError } from '../base/index.ts';
import { takeLock } from './lock.ts';
import { isRunName, RUN_FILES } from './read.ts';

/**
 * Removes the run `name` of `runsDir` with its checkpoints: out of sight at once, then from the disk.
 * @param now milliseconds since the epoch
 * @throws run_missing where there is none of that name; run_locked while a process writes it
 */
export function removeRun(runsDir: string, name: string, now: () => number): void {
  const path = findRun(runsDir, name);
  const releaseLock = takeLock(join(path, RUN_FILES.lock), path, new Date(now()).toISOString());
  // A folder whose name begins with a dot is no run.
  const aside = join(runsDir, `.removed-${name}-${process.pid}`);
  try {
    renameSync(path, aside);
  } catch (error) {
    releaseLock();
    throw error;
  }
  rmSync(aside, { recursive: true });
}

/** The folder of a run; a link to one is not taken for it. @throws run_missing */
export function findRun(runsDir: string, name: string): string {
  const path = join(runsDir, name);
  const isFolder = isRunName(name) && lstatSync(path, { throwIfNoEntry: false })?.isDirectory();
  if (isFolder && existsSync(join(path, RUN_FILES.recipe))) return path;
  throw new DabarexError(
    'run_missing',
    `There is no run "${name}" in ${runsDir}. Give the name of a run as "dabarex runs" lists it.`,
    { name, runsDir },
  );
}
