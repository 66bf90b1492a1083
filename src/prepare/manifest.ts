/**
 * The manifest closes a stage: it is written last, so a folder without one, or whose files are not those it lists, is partial
 * and is made anew. `key` is the hash of everything the result depends on.
 */
import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readJsonFile, writeFileAtomic } from '../base/index.ts';
import { hashFile } from '../storage/index.ts';

export interface ManifestFile {
  /** within the manifest's folder */
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface Manifest {
  readonly key: string;
  readonly files: readonly ManifestFile[];
}

/** A hash of plain data; equal data with keys in the same order give the same key. */
export function stageKey(inputs: unknown): string {
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex');
}

/** Size and sha256 of a file of the stage, as the manifest lists it. */
export function describeFile(folder: string, path: string): ManifestFile {
  const { hash, sizeBytes } = hashFile(join(folder, path), 'sha256');
  return { path, sizeBytes, sha256: hash.digest('hex') };
}

export function writeManifest(folder: string, manifest: Manifest): void {
  writeFileAtomic(join(folder, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** The manifest in `folder` if its key is `key` (any, where absent) and its files are there unchanged; else undefined. */
export function trustedManifest<T extends Manifest>(folder: string, key?: string): T | undefined {
  const manifest = readJsonFile<T>(join(folder, 'manifest.json'));
  if (!manifest || !Array.isArray(manifest.files)) return undefined;
  if (key !== undefined && manifest.key !== key) return undefined;
  const isWhole = manifest.files.every((file) => {
    const path = join(folder, file.path);
    if (!existsSync(path) || statSync(path).size !== file.sizeBytes) return false;
    return describeFile(folder, file.path).sha256 === file.sha256;
  });
  return isWhole ? manifest : undefined;
}
