/**
 * Files named by a path or URL, with or without a pattern, as local files: `texts/**` + `/*.jsonl`, `file:PATH`, `s3://BUCKET/PREFIX/*.jsonl` or
 * `s3://BUCKET/PREFIX#GLOB`, `npm:NAME@1.2.3#GLOB`, `https://HOST/FILE`. What lies in a store is fetched into an {@link ObjectCache}, once for a version of it.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DabarexError, fileError, type OnProgress } from '../base/index.ts';
import { globMatcher } from './glob.ts';
import type { CachedObject, ObjectCache } from './object-cache.ts';
import type { ObjectEntry, ObjectStore } from './object-store.ts';
import { openStore, type StoreOptions } from './open-store.ts';
import { parseSourceUrl } from './source-url.ts';
import { parseHttpUrl, parseS3Url, storeUrlInvalid } from './store-url.ts';

export interface FindFilesOptions {
  /** what relative paths start from; the working directory unless told */
  readonly baseDir?: string;
  /** asked for where a file lies in a store */
  readonly cache: () => ObjectCache;
  readonly stores: StoreOptions;
  /** stage `download`, over all files of one URL */
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface FoundFile {
  /** where it stands on this machine */
  readonly path: string;
  /** what it is called: its path, or its URL in a store */
  readonly name: string;
  /** Nothing of a file that was fetched may be read afterwards. */
  release(): void;
}

/** Files below one root: an object by its key, or those that match. */
type FilesUrl =
  | { readonly kind: 'local'; readonly pattern: string }
  | { readonly kind: 'object'; readonly root: string; readonly key: string }
  | { readonly kind: 'glob'; readonly root: string; readonly glob: string };

const PATTERN_MARK = /[*?{[]/;
/** Fetched at once; each comes in several ranges. */
const PARALLEL = 4;

/** @throws source_url_invalid, store_url_invalid for what {@link findFiles} cannot read */
export function checkFilesUrl(url: string): void {
  const parsed = parseFilesUrl(url);
  globMatcher(parsed.kind === 'local' ? parsed.pattern : parsed.kind === 'glob' ? parsed.glob : '**');
}

/**
 * The files, those of a pattern in the order of their names; those fetched are held until they are released.
 * @throws file_missing, source_not_found where nothing matches; source_url_invalid, store_url_invalid; what store and cache throw
 */
export async function findFiles(url: string, options: FindFilesOptions): Promise<FoundFile[]> {
  const parsed = parseFilesUrl(url);
  if (parsed.kind === 'local') {
    const paths = matchFiles(parsed.pattern, options.baseDir);
    return paths.map((path) => ({ path, name: path, release: () => undefined }));
  }
  const store = openStore(parsed.root, options.stores);
  const entries =
    parsed.kind === 'object'
      ? [{ key: parsed.key, ...(await store.stat(parsed.key, options)) }]
      : await matchingEntries(store, url, parsed.glob, options.signal);
  return fetchAll(store, entries, options);
}

function parseFilesUrl(url: string): FilesUrl {
  if (!/^[a-z][a-z0-9+.-]+:/i.test(url)) return { kind: 'local', pattern: url };
  const hash = url.indexOf('#');
  const place = hash < 0 ? url : url.slice(0, hash);
  const glob = hash < 0 ? undefined : url.slice(hash + 1) || '**';
  if (/^s3:/i.test(place)) return s3Files(place, glob);
  if (/^https?:/i.test(place)) {
    const address = parseHttpUrl(place);
    if (glob !== undefined)
      throw storeUrlInvalid(address, 'a web server has no listing; name its files one by one');
    const slash = address.lastIndexOf('/');
    return { kind: 'object', root: address.slice(0, slash), key: decoded(address, slash + 1) };
  }
  const source = parseSourceUrl(url);
  if (source.kind === 'file') {
    return { kind: 'local', pattern: source.glob ? `${source.path}/${source.glob}` : source.path };
  }
  return { kind: 'glob', root: place, glob: glob ?? '**' };
}

function s3Files(place: string, glob: string | undefined): FilesUrl {
  const mark = glob === undefined ? place.search(PATTERN_MARK) : -1;
  const slash = place.lastIndexOf('/', mark < 0 ? place.length : mark);
  const [before, after] = [place.slice(0, slash), place.slice(slash + 1)];
  if (mark >= 0) return { kind: 'glob', root: parseS3Url(before).url, glob: after };
  const { url, prefix } = parseS3Url(place);
  if (glob !== undefined) return { kind: 'glob', root: url, glob };
  if (prefix === '' || after === '')
    throw storeUrlInvalid(
      place,
      'write s3://BUCKET/OBJECT, s3://BUCKET/PREFIX/*.jsonl or s3://BUCKET/PREFIX#GLOB',
    );
  return { kind: 'object', root: before, key: after };
}

function decoded(address: string, from: number): string {
  try {
    return decodeURIComponent(address.slice(from));
  } catch {
    throw storeUrlInvalid(address, 'its last part is no text; write % as %25');
  }
}

async function matchingEntries(
  store: ObjectStore,
  url: string,
  glob: string,
  signal: AbortSignal | undefined,
): Promise<ObjectEntry[]> {
  const wanted = globMatcher(glob);
  const entries: ObjectEntry[] = [];
  // Some tools make an object of a folder's name.
  for await (const entry of store.list!('', { signal }))
    if (!entry.key.endsWith('/') && wanted(entry.key)) entries.push(entry);
  if (entries.length > 0) return entries.sort((a, b) => (a.key < b.key ? -1 : 1));
  throw new DabarexError(
    'source_not_found',
    `${url}: no object of ${store.url} matches ${glob}. Check the pattern.`,
    {
      url,
    },
  );
}

async function fetchAll(
  store: ObjectStore,
  entries: readonly ObjectEntry[],
  { cache: openCache, signal, onProgress }: FindFilesOptions,
): Promise<FoundFile[]> {
  const cache = openCache();
  const total = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const objects: CachedObject[] = [];
  let done = 0;
  let next = 0;
  const lanes = Array.from({ length: PARALLEL }, async () => {
    for (let i = next++; i < entries.length; i = next++) {
      const { key, sizeBytes } = entries[i]!;
      objects[i] = await cache.fetch(store, key, { revalidate: true, signal });
      done += sizeBytes;
      onProgress?.({ stage: 'download', done, total, unit: 'bytes' });
    }
  });
  try {
    await Promise.all(lanes);
  } catch (error) {
    next = entries.length;
    await Promise.allSettled(lanes);
    for (const each of objects) each?.release();
    throw error;
  }
  return objects.map(({ path, release }, i) => ({ path, name: `${store.url}/${entries[i]!.key}`, release }));
}

/**
 * Local files that a pattern names, absolute, in the order of their paths; links are followed. A path that is there is meant as it stands, whatever is in it.
 * @throws file_missing where nothing matches; source_url_invalid
 */
export function matchFiles(pattern: string, baseDir = '.'): string[] {
  const whole = resolve(baseDir, pattern);
  if (!PATTERN_MARK.test(pattern) || existsSync(whole)) return [whole];
  const parts = pattern.split('/');
  const first = parts.findIndex((part) => PATTERN_MARK.test(part));
  const root = resolve(baseDir, `${parts.slice(0, first).join('/')}${first > 0 ? '/' : ''}`);
  const glob = parts.slice(first).join('/');
  const wanted = globMatcher(glob);
  const depth = glob.includes('**') ? Number.POSITIVE_INFINITY : parts.length - first;
  const found = [...filesBelow(root, '', depth)].filter(wanted).sort((a, b) => (a < b ? -1 : 1));
  if (found.length > 0) return found.map((path) => join(root, path));
  const why = existsSync(root) ? `no file below ${root} matches ${glob}` : `there is no folder ${root}`;
  throw new DabarexError('file_missing', `${pattern}: ${why}. Check the pattern.`, { path: pattern });
}

/** Paths below `root`, `/`-separated, down to `depth` names. */
function* filesBelow(root: string, folder: string, depth: number): Generator<string> {
  for (const entry of entriesOf(join(root, folder))) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    const stat = entry.isSymbolicLink() ? statSync(join(root, path), { throwIfNoEntry: false }) : entry;
    if (stat?.isFile()) yield path;
    // Links between folders may lead in a circle.
    const isEntered = stat?.isDirectory() && (stat === entry || Number.isFinite(depth));
    if (isEntered && depth > 1) yield* filesBelow(root, path, depth - 1);
  }
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileError(error, folder);
  }
}
