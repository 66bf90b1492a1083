/** What the cache knows of an object it has: written before the object gets its name, and true only of the very file it was written for. */
import { rmSync, statSync, utimesSync } from 'node:fs';
import { z } from 'zod';
import { readJsonFile, writeFileAtomic } from '../base/index.ts';
import type { CachePlace } from './cache-layout.ts';

const Schema = z.object({
  url: z.string(),
  key: z.string(),
  /** of the object, below the cache's folder */
  name: z.string(),
  sizeBytes: z.number().int().nonnegative(),
  etag: z.string().optional(),
  /** digests that were checked, by algorithm */
  hashes: z.record(z.string(), z.string()),
  /** of the file: a record of one version says nothing about another */
  modifiedMs: z.number(),
});

export type CacheRecord = z.infer<typeof Schema>;

/** The record at `path`; undefined where there is none, or none that can be read. */
export function readRecord(path: string): CacheRecord | undefined {
  return Schema.safeParse(readJsonFile(path)).data;
}

/** The record of the object that stands at `place`; undefined where none does, or it is not the one recorded. */
export function recordOf(place: CachePlace): CacheRecord | undefined {
  const record = readRecord(place.record);
  if (!record) return undefined;
  const found = statSync(place.path, { throwIfNoEntry: false });
  const isIt =
    found?.isFile() && found.size === record.sizeBytes && Math.floor(found.mtimeMs) === record.modifiedMs;
  return isIt ? record : undefined;
}

export function writeRecord(place: CachePlace, record: CacheRecord): void {
  writeFileAtomic(place.record, JSON.stringify(record));
}

/** Marks the object as used now. */
export function touchRecord(place: CachePlace, epochMs: number): void {
  try {
    utimesSync(place.record, epochMs / 1000, epochMs / 1000);
  } catch {
    // Another process is replacing it: then it is new.
  }
}

/** Removes the object, then what is said of it. */
export function removeObject(place: CachePlace): void {
  rmSync(place.path, { force: true });
  rmSync(place.record, { force: true });
}
