/** Files that are whole or absent: written to a temporary name, fsynced, renamed; and read as such. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { fileError } from './file-errors.ts';

/**
 * Writes `content` to `path` so that a reader, or a run after a crash, sees the old file or the new one, never a part.
 * Creates the folder. The temporary file is removed on failure.
 * @param temporary where it is written first, in the same folder; others that write the file at once must name another
 * @throws disk_full and what else {@link fileError} knows
 */
export function writeFileAtomic(path: string, content: string | Uint8Array, temporary?: string): void {
  writeFilePartsAtomic(
    path,
    [typeof content === 'string' ? Buffer.from(content, 'utf8') : content],
    temporary,
  );
}

/** As {@link writeFileAtomic}, for content that is produced part by part. */
export function writeFilePartsAtomic(path: string, parts: Iterable<Uint8Array>, temporary?: string): void {
  writeFilesAtomic([{ path, parts, temporary }]);
}

/** A file to write: where, and what, made part by part. */
export interface FileParts {
  readonly path: string;
  readonly parts: Iterable<Uint8Array>;
  /** where it is written first, in the same folder */
  readonly temporary?: string;
}

/**
 * As {@link writeFilePartsAtomic} for files that belong together: all are written under temporary names before any is renamed. The
 * first goes last, an old one of its name first: who opens the set by it finds the old set, the new one or none.
 */
export function writeFilesAtomic(files: readonly FileParts[]): void {
  const temporaries: string[] = [];
  let current = files[0]?.path;
  try {
    for (const { path, parts, temporary = `${path}.tmp-${process.pid}` } of files) {
      current = path;
      mkdirSync(dirname(path), { recursive: true });
      temporaries.push(temporary);
      writeSynced(temporary, parts);
    }
    if (files.length > 1) rmSync(files[0]!.path, { force: true });
    for (const i of [...files.keys()].reverse()) {
      current = files[i]!.path;
      renameSync(temporaries[i]!, current);
    }
  } catch (error) {
    for (const temporary of temporaries) rmSync(temporary, { force: true });
    throw fileError(error, current);
  }
  for (const folder of new Set(files.map(({ path }) => dirname(path)))) syncFolder(folder);
}

function writeSynced(path: string, parts: Iterable<Uint8Array>): void {
  const file = openSync(path, 'w');
  try {
    for (const part of parts) writeFully(file, part);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Makes a rename or creation in `folder` durable. A system that cannot sync folders is left as it is. */
export function syncFolder(folder: string): void {
  let handle: number;
  try {
    handle = openSync(folder, 'r');
  } catch {
    return;
  }
  try {
    fsyncSync(handle);
  } catch {
    // Windows refuses to sync a folder; the rename is still atomic there.
  } finally {
    closeSync(handle);
  }
}

function writeFully(file: number, part: Uint8Array): void {
  let offset = 0;
  while (offset < part.byteLength) {
    offset += writeSync(file, part, offset, Math.min(part.byteLength - offset, 1 << 30));
  }
}

/** The value of a JSON file, whatever it is; undefined where there is no file, or none that can be read. */
export function readJsonFile<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
