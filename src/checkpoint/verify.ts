/** The checksums in a checkpoint's manifest against its files: a disk or a copy that got a byte wrong is noticed before it is used. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError, fileError } from '../base/index.ts';
import { Checksum } from '../tensor/index.ts';

/** In every checkpoint: `{ step, files: { PATH: bytes }, checksums: { PATH: digest } }`. */
export const MANIFEST = 'manifest.json';

/** Fits the caches, so that a part is read from memory once for its checksum and its writing. */
export const PART_BYTES = 1 << 18;

/**
 * Checks files of a checkpoint or model folder, all that have a checksum or only those named in `only`. A folder without a
 * manifest, or with one from before there were checksums, passes.
 * @throws checkpoint_corrupt that names the file; file_missing and what else {@link fileError} knows where it cannot be read
 */
export function verifyChecksums(dir: string, only?: readonly string[]): void {
  for (const [name, expected] of Object.entries(readChecksums(dir))) {
    if (only && !only.includes(name)) continue;
    const path = join(dir, name);
    const found = readableChecksum(path);
    if (found !== expected) throw corrupt(dir, path, found, expected);
  }
}

function readableChecksum(path: string): string {
  try {
    return checksumOf(path);
  } catch (error) {
    throw fileError(error, path);
  }
}

/** The checksum of a file as it stands. */
export function checksumOf(path: string): string {
  const checksum = new Checksum();
  const part = new Uint8Array(PART_BYTES);
  const handle = openSync(path, 'r');
  try {
    for (let count = -1; count !== 0; ) {
      count = readSync(handle, part);
      checksum.update(part.subarray(0, count));
    }
  } finally {
    closeSync(handle);
  }
  return checksum.digest();
}

function readChecksums(dir: string): Record<string, string> {
  try {
    const { checksums } = JSON.parse(readFileSync(join(dir, MANIFEST), 'utf8'));
    return typeof checksums === 'object' && checksums !== null ? checksums : {};
  } catch {
    return {};
  }
}

function corrupt(dir: string, path: string, found: string, expected: string): DabarexError {
  return new DabarexError(
    'checkpoint_corrupt',
    `${path} has the checksum ${found}, was saved with ${expected}: its bytes have changed since. Copy the file again from ` +
      `where it is whole, or use an older checkpoint: to continue a run from it, remove ${dir}.`,
    { dir, path },
  );
}
