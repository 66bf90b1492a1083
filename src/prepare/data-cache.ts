/**
 * What the cache of prepared data holds, and what of it nobody needs. Documents, tokenizers and shards are needed by the runs that were
 * trained on them; what stages left (`stages/`) only saves work, so nothing is lost with it but time. What a living process
 * holds by a lock, or works on, stays.
 */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isLocked, isProcess, readJsonFile } from '../base/index.ts';

const KINDS = ['documents', 'tokenizers', 'shards', 'stages'] as const;

export interface CacheEntry {
  readonly kind: (typeof KINDS)[number];
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** `run`: a run was trained on it; `locked`: a process is at work on it; `leftover`: a killed process left it; else `unused` */
  readonly use: 'run' | 'locked' | 'leftover' | 'unused';
}

/** The hashes that runs recorded of their data. */
export interface UsedKeys {
  readonly documents: ReadonlySet<string>;
  readonly shards: ReadonlySet<string>;
}

/** All of the cache, in order of kind and name. */
export function listDataCache(dataDir: string, used: UsedKeys): CacheEntry[] {
  const isPreparing = namesIn(join(dataDir, 'documents')).some(
    (name) => name.endsWith('.lock') && isLocked(join(dataDir, 'documents', name)),
  );
  return KINDS.flatMap((kind) =>
    namesIn(join(dataDir, kind)).flatMap((name): CacheEntry[] => {
      const path = join(dataDir, kind, name);
      if (name.endsWith('.lock')) return [];
      return [{ kind, name, path, sizeBytes: sizeOf(path), use: useOf(kind, path, name, used, isPreparing) }];
    }),
  );
}

/** Removes entries; those that were found in use meanwhile stay. @returns what was removed */
export function pruneDataCache(dataDir: string, used: UsedKeys): CacheEntry[] {
  const removed: CacheEntry[] = [];
  for (const entry of listDataCache(dataDir, used)) {
    if (entry.use === 'run' || entry.use === 'locked') continue;
    if (isLocked(`${entry.path}.lock`)) continue;
    rmSync(entry.path, { recursive: true, force: true });
    removed.push(entry);
  }
  return removed;
}

function useOf(
  kind: CacheEntry['kind'],
  path: string,
  name: string,
  used: UsedKeys,
  isPreparing: boolean,
): CacheEntry['use'] {
  if (kind === 'stages') return isPreparing || hasTasks(path) ? 'locked' : 'unused';
  const [, of, pid] = /^(.*?)(?:\.lock)?\.(?:tmp|stale)-(\w+)$/.exec(name) ?? [];
  if (of !== undefined) {
    const isWritten = /^\d+$/.test(pid!) && isProcess(Number(pid));
    return isWritten || isLocked(join(path, '..', `${of}.lock`)) ? 'locked' : 'leftover';
  }
  if (isLocked(`${path}.lock`)) return 'locked';
  const { key, corpusKey } = manifestKeys(path);
  const isUsed =
    kind === 'documents'
      ? used.documents.has(key)
      : kind === 'tokenizers'
        ? used.documents.has(corpusKey)
        : used.shards.has(key);
  return isUsed ? 'run' : 'unused';
}

/** Whether tasks of an array may be at work in the folder of stages: their signs are in a folder there. */
function hasTasks(path: string): boolean {
  return namesIn(join(path, '..')).some((name) => name.startsWith('tasks-'));
}

function manifestKeys(path: string): { key: string; corpusKey: string } {
  const manifest = readJsonFile<{ key?: string; corpusKey?: string }>(join(path, 'manifest.json'));
  return { key: manifest?.key ?? '', corpusKey: manifest?.corpusKey ?? '' };
}

function sizeOf(path: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return stat?.size ?? 0;
  return namesIn(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
