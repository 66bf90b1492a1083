/**
 * Checkpoints of a run: `checkpoints/step-00001234/`, and `checkpoints/latest`, a text file that names one of them.
 *
 * A save fills `step-….tmp-PID`, syncs every file, renames the folder, and only then writes `latest`. Killed at any
 * moment, a run finds the last whole checkpoint; what the crash left is removed by the next save. `manifest.json` in
 * each folder holds the sizes of its files, so that one thinned out later is not taken for whole, and their checksums (verify.ts).
 * Limit: one process saves at a time (the run's lock sees to it).
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join, relative, sep } from 'node:path';
import { DabarexError, syncFolder, writeFileAtomic } from '../base/index.ts';
import { checksumOf, MANIFEST } from './verify.ts';

export interface Checkpoint {
  readonly step: number;
  readonly dir: string;
}

/** Checksums of files, by their path in the checkpoint, from who wrote them. */
export type WrittenChecksums = Readonly<Record<string, string>>;

/** The checkpoint to continue from; `reason` says why it is not the one `latest` names. */
export interface LatestCheckpoint extends Checkpoint {
  readonly reason?: string;
}

/**
 * Saves a checkpoint: `write` puts its files into the folder it is given; whole or not at all. One of the same step is
 * replaced. Leftovers of an earlier crash are removed.
 * @param write gives back the checksums it knows of files by their path in the folder; the others are read once more
 * @returns the folder it stands in
 */
export function saveCheckpoint(
  runDir: string,
  step: number,
  write: (dir: string) => WrittenChecksums,
): string {
  const root = join(runDir, 'checkpoints');
  mkdirSync(root, { recursive: true });
  removeLeftovers(root);
  const name = folderName(step);
  const temporary = join(root, `${name}.tmp-${process.pid}`);
  mkdirSync(temporary);
  try {
    const known = write(temporary);
    const files: Record<string, number> = {};
    const checksums: Record<string, string> = {};
    for (const path of filesBelow(temporary)) {
      const name = relative(temporary, path).split(sep).join('/');
      files[name] = statSync(path).size;
      checksums[name] = known[name] ?? checksumOf(path);
    }
    writeFileAtomic(join(temporary, MANIFEST), `${JSON.stringify({ step, files, checksums }, null, 1)}\n`);
    syncBelow(temporary);
    publish(root, temporary, name);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
  writeFileAtomic(join(root, 'latest'), `${name}\n`);
  return join(root, name);
}

/** All checkpoints of a run, oldest first; those that lost a file are left out. */
export function listCheckpoints(runDir: string): Checkpoint[] {
  return allCheckpoints(runDir).filter((each) => missingPart(each.dir) === undefined);
}

/**
 * The checkpoint `latest` names, or else the newest whole one, with the reason; undefined where the run has none.
 * @throws checkpoint_incomplete where there are checkpoints but none is whole
 */
export function latestCheckpoint(runDir: string): LatestCheckpoint | undefined {
  const all = allCheckpoints(runDir);
  const named = latestName(runDir);
  const wanted = all.find((each) => folderName(each.step) === named);
  const problem = wanted
    ? missingPart(wanted.dir)
    : named === undefined
      ? 'checkpoints/latest is missing'
      : `checkpoints/latest names ${JSON.stringify(named)}, which does not exist`;
  if (wanted && problem === undefined) return wanted;
  const newest = listCheckpoints(runDir).at(-1);
  if (newest) return { ...newest, reason: problem };
  if (all.length === 0) return undefined;
  throw incomplete(all.at(-1)!.dir, missingPart(all.at(-1)!.dir)!);
}

/**
 * The checkpoint of a step, or the latest one.
 * @throws checkpoint_not_found, checkpoint_incomplete
 */
export function findCheckpoint(runDir: string, step?: number): LatestCheckpoint {
  const found =
    step === undefined ? latestCheckpoint(runDir) : allCheckpoints(runDir).find((each) => each.step === step);
  if (!found) {
    const steps = listCheckpoints(runDir).map((each) => each.step);
    throw new DabarexError(
      'checkpoint_not_found',
      `${runDir} has no checkpoint${step === undefined ? '' : ` of step ${step}`}; ` +
        `${steps.length ? `it has steps ${steps.join(', ')}` : 'it has none at all'}. Train first or name another.`,
      { runDir, step },
    );
  }
  const problem = missingPart(found.dir);
  if (problem !== undefined) throw incomplete(found.dir, problem);
  return found;
}

/** Removes all but the newest `keepLast` checkpoints, never the one `latest` names; returns the steps removed. */
export function pruneCheckpoints(runDir: string, keepLast: number): number[] {
  const root = join(runDir, 'checkpoints');
  const kept = latestName(runDir);
  const all = allCheckpoints(runDir);
  const old = all
    .slice(0, Math.max(0, all.length - Math.max(0, keepLast)))
    .filter((each) => folderName(each.step) !== kept);
  for (const { step, dir } of old) {
    // Renamed first: a removal cut short must not leave a folder that looks like a checkpoint.
    const doomed = join(root, `${folderName(step)}.tmp-pruned`);
    rmSync(doomed, { recursive: true, force: true });
    renameSync(dir, doomed);
    rmSync(doomed, { recursive: true, force: true });
  }
  return old.map((each) => each.step);
}

function publish(root: string, temporary: string, name: string): void {
  const target = join(root, name);
  const replaced = join(root, `${name}.tmp-replaced`);
  if (existsSync(target)) renameSync(target, replaced);
  renameSync(temporary, target);
  syncFolder(root);
  rmSync(replaced, { recursive: true, force: true });
}

function removeLeftovers(root: string): void {
  for (const name of readdirSync(root)) {
    if (/^(step-\d{8,}|latest)\.tmp-/.test(name)) rmSync(join(root, name), { recursive: true, force: true });
  }
}

function allCheckpoints(runDir: string): Checkpoint[] {
  const root = join(runDir, 'checkpoints');
  if (!existsSync(root)) return [];
  return readdirSync(root)
    .filter((name) => /^step-\d{8,}$/.test(name))
    .map((name) => ({ step: Number(name.slice(5)), dir: join(root, name) }))
    .sort((a, b) => a.step - b.step);
}

function latestName(runDir: string): string | undefined {
  try {
    return readFileSync(join(runDir, 'checkpoints', 'latest'), 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** What a checkpoint lacks, or undefined where it is whole. */
function missingPart(dir: string): string | undefined {
  let files: Record<string, number>;
  try {
    files = JSON.parse(readFileSync(join(dir, MANIFEST), 'utf8')).files;
  } catch {
    return `${dir} has no readable ${MANIFEST}`;
  }
  for (const [name, sizeBytes] of Object.entries(files ?? {})) {
    const path = join(dir, name);
    const found = existsSync(path) ? statSync(path).size : undefined;
    if (found !== sizeBytes)
      return `${path} ${found === undefined ? 'is missing' : `has ${found} bytes, not ${sizeBytes}`}`;
  }
  return undefined;
}

function incomplete(dir: string, problem: string): DabarexError {
  return new DabarexError(
    'checkpoint_incomplete',
    `${dir} is not whole: ${problem}. Restore the file, or remove the folder and continue from an older checkpoint.`,
    { dir, problem },
  );
}

function folderName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true })
    .flatMap((each) => (each.isDirectory() ? filesBelow(join(dir, each.name)) : [join(dir, each.name)]))
    .sort();
}

function syncBelow(dir: string): void {
  for (const each of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, each.name);
    if (each.isDirectory()) {
      syncBelow(path);
      continue;
    }
    const handle = openSync(path, 'r+');
    fsyncSync(handle);
    closeSync(handle);
  }
  syncFolder(dir);
}
