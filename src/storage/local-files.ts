/** Local files that a `file:` source names, listed and hashed without being read into memory. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { DabarexError, fileError } from '../base/index.ts';
import { globMatcher } from './glob.ts';
import type { SourceUrl } from './source-url.ts';

const BLOCK_BYTES = 1 << 20;

export interface LocalFile {
  /** within the source, `/`-separated */
  readonly path: string;
  /** where it stands */
  readonly file: string;
  readonly sizeBytes: number;
  /** when it was changed last */
  readonly mtimeMs: number;
}

export interface LocalFiles {
  readonly isFolder: boolean;
  /** those that match the glob, in the order of their names */
  readonly files: readonly LocalFile[];
}

/**
 * The files of a `file:` source.
 * @throws source_not_found where there is no such file or folder
 */
export function listLocalFiles(source: Extract<SourceUrl, { kind: 'file' }>, baseDir = '.'): LocalFiles {
  const path = resolve(baseDir, source.path);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) {
    throw new DabarexError(
      'source_not_found',
      `${source.url}: the file or folder ${path} does not exist. Check the path after "#" or "file:".`,
      { url: source.url },
    );
  }
  if (!stat.isDirectory()) {
    return {
      isFolder: false,
      files: [{ path: basename(path), file: path, sizeBytes: stat.size, mtimeMs: stat.mtimeMs }],
    };
  }
  const wanted = source.glob ? globMatcher(source.glob) : () => true;
  const files = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .map((file) => ({
      file,
      path: file
        .slice(path.length + 1)
        .split('\\')
        .join('/'),
    }))
    .filter((each) => wanted(each.path))
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map((each) => {
      const { size, mtimeMs } = statSync(each.file);
      return { ...each, sizeBytes: size, mtimeMs };
    });
  return { isFolder: true, files };
}

/** `sha512-BASE64` (or sha256) of a file, read in blocks. */
export function fileIntegrity(path: string, algorithm: 'sha256' | 'sha512' = 'sha512'): string {
  return `${algorithm}-${hashFile(path, algorithm).hash.digest('base64')}`;
}

/** The hash of a file, not yet digested, and its size as read. @throws what {@link fileError} knows */
export function hashFile(path: string, algorithm: 'sha256' | 'sha512'): { hash: Hash; sizeBytes: number } {
  const hash = createHash(algorithm);
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  let sizeBytes = 0;
  try {
    const file = openSync(path, 'r');
    try {
      for (let count = readSync(file, block); count > 0; count = readSync(file, block)) {
        hash.update(block.subarray(0, count));
        sizeBytes += count;
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileError(error, path);
  }
  return { hash, sizeBytes };
}

/** The hash of a folder: that of its files' names and hashes, in the order of the names. */
export function folderIntegrity(files: Iterable<{ path: string; integrity: string }>): string {
  const hash = createHash('sha512');
  for (const { path, integrity } of files) hash.update(`${path}\n${integrity}\n`);
  return `sha512-${hash.digest('base64')}`;
}
