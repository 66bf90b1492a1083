/**
 * The content of a file by its hash, computed once: a stamp in the cache says for a path, size and time of change what the hash was,
 * and is believed as long as these are the same.
 */
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DabarexError, type OnProgress, readJsonFile, writeFileAtomic } from '../base/index.ts';

/** What a file is known by without reading it. */
export interface FileStamp {
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly inode: number;
}

/** @throws file_missing */
export function stampOf(path: string): FileStamp {
  try {
    const stat = statSync(path);
    if (stat.isFile()) return { sizeBytes: stat.size, mtimeMs: stat.mtimeMs, inode: stat.ino };
  } catch (cause) {
    throw new DabarexError('file_missing', `${path} cannot be read. Check the path.`, { path }, { cause });
  }
  throw new DabarexError('file_missing', `${path} is no file. Name the files in a folder one by one.`, {
    path,
  });
}

export function sameStamp(a: FileStamp, b: FileStamp): boolean {
  return a.sizeBytes === b.sizeBytes && a.mtimeMs === b.mtimeMs && a.inode === b.inode;
}

/** @throws text_changed where `path` no longer is as `stamp` says */
export function requireUnchanged(path: string, stamp: FileStamp): void {
  if (sameStamp(stampOf(path), stamp)) return;
  throw new DabarexError(
    'text_changed',
    `${path} changed while it was read. Leave it as it is, and open it again.`,
    { path },
  );
}

/** The sha256 of the file at `path` and its stamp. @throws file_missing, text_changed */
export async function contentOf(
  path: string,
  cacheDir: string,
  { onProgress, signal }: { readonly onProgress?: OnProgress; readonly signal?: AbortSignal } = {},
): Promise<{ sha256: string; stamp: FileStamp }> {
  const stamp = stampOf(path);
  const name = createHash('sha256').update(resolve(path)).digest('hex').slice(0, 32);
  const stampPath = join(cacheDir, 'stamps', `${name}.json`);
  const known = readStamp(stampPath);
  if (known && sameStamp(known, stamp)) return { sha256: known.sha256, stamp };
  const hash = createHash('sha256');
  let done = 0;
  for await (const chunk of createReadStream(path, {
    highWaterMark: 1 << 20,
    signal,
  }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    done += chunk.length;
    onProgress?.({ stage: 'hash', done, total: stamp.sizeBytes, unit: 'bytes' });
  }
  const sha256 = hash.digest('hex');
  requireUnchanged(path, stamp);
  writeFileAtomic(stampPath, `${JSON.stringify({ ...stamp, sha256 })}\n`);
  return { sha256, stamp };
}

function readStamp(path: string): (FileStamp & { sha256: string }) | undefined {
  const stamp = readJsonFile<FileStamp & { sha256: unknown }>(path);
  const sha256 = stamp?.sha256;
  if (!stamp || typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  return { ...stamp, sha256 };
}
