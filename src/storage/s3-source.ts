/**
 * Text in a bucket: the objects below a prefix that match a glob, or one object. They are listed, for this is preparation; each is fetched once
 * for a version of it and kept by its hash. The listing is kept by its hash too, so that a pinned source needs the network once.
 */
import { basename, dirname } from 'node:path';
import { DabarexError } from '../base/index.ts';
import { globMatcher } from './glob.ts';
import { hashMismatch, integrityOf } from './integrity.ts';
import type { ObjectEntry, ObjectStore } from './object-store.ts';
import { openS3, type RemoteOptions } from './open-remote.ts';
import type { FetchedSource, FetchOptions } from './source.ts';
import { SourceCache } from './source-cache.ts';
import { listingText, parseListing, type SourceListing } from './source-listing.ts';
import type { SourceUrl } from './source-url.ts';
import type { SourceFile } from './tar.ts';

type S3SourceUrl = Extract<SourceUrl, { kind: 's3' }>;

/** Fetched at once; each is in memory as a whole. */
const PARALLEL = 4;
const MAX_OBJECT_BYTES = 2 ** 31 - 1;

/** @throws source_hash_mismatch, source_too_large, and what the store throws */
export async function s3Source(
  source: S3SourceUrl,
  pinned: string | undefined,
  options: FetchOptions,
): Promise<FetchedSource> {
  const cache = new SourceCache(options.cacheDir);
  const keptPin = pinned && keptListing(cache, pinned);
  if (keptPin) return { files: filesOf(source, keptPin, cache), integrity: pinned, fromCache: true };
  try {
    const listing = await fetchObjects(source, cache, options);
    const text = Buffer.from(listingText(listing));
    const integrity = integrityOf(text);
    if (pinned && pinned !== integrity) throw hashMismatch(source.url, pinned, integrity);
    cache.write(source.url, integrity, text);
    return { files: filesOf(source, listing, cache), integrity, fromCache: false };
  } catch (error) {
    const last = cache.lastIntegrityOf(source.url);
    const kept = isUnreachable(error) && !pinned && last ? keptListing(cache, last) : undefined;
    if (!kept || !last) throw error;
    options.warn?.(`${source.url} cannot be reached; the copy in the cache is used.`);
    return { files: filesOf(source, kept, cache), integrity: last, fromCache: true };
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof DabarexError && error.code === 'store_unreachable';
}

/** The listing with this hash, if it and all it names are kept. */
function keptListing(cache: SourceCache, integrity: string): SourceListing | undefined {
  const text = cache.read(integrity);
  const listing = text && parseListing(Buffer.from(text).toString());
  return listing && [...listing.values()].every((each) => cache.has(each)) ? listing : undefined;
}

/** Makes all objects that match be in the cache. */
async function fetchObjects(
  source: S3SourceUrl,
  cache: SourceCache,
  { store: remote, signal, onProgress }: FetchOptions,
): Promise<SourceListing> {
  const { store, entries } = await entriesOf(source, remote, signal);
  const total = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const listing = new Map<string, string>();
  let done = 0;
  let next = 0;
  const lanes = Array.from({ length: PARALLEL }, async () => {
    for (let i = next++; i < entries.length; i = next++) {
      const entry = entries[i]!;
      listing.set(entry.key, await fetchObject(store, entry, cache, signal));
      done += entry.sizeBytes;
      onProgress?.({ stage: 'download', done, total, unit: 'bytes' });
    }
  });
  await Promise.all(lanes).finally(() => {
    next = entries.length;
    return Promise.allSettled(lanes);
  });
  return listing;
}

/** What lies below the prefix; where nothing does, the prefix may name an object itself. */
async function entriesOf(
  { root, glob }: S3SourceUrl,
  remote: RemoteOptions | undefined,
  signal: AbortSignal | undefined,
): Promise<{ store: ObjectStore; entries: ObjectEntry[] }> {
  const wanted = glob ? globMatcher(glob) : () => true;
  const store = openS3(root, remote);
  const entries: ObjectEntry[] = [];
  let isEmpty = true;
  for await (const entry of store.list!('', { signal })) {
    isEmpty = false;
    // Some tools make an object of a folder's name.
    if (!entry.key.endsWith('/') && wanted(entry.key)) entries.push(entry);
  }
  const isBucket = /^s3:\/\/[^/]+$/.test(root);
  if (!isEmpty || isBucket || glob) return { store, entries };
  const parent = openS3(dirname(root), remote);
  const key = basename(root);
  return { store: parent, entries: [{ key, ...(await parent.stat(key, { signal })) }] };
}

async function fetchObject(
  store: ObjectStore,
  { key, sizeBytes, etag }: ObjectEntry,
  cache: SourceCache,
  signal: AbortSignal | undefined,
): Promise<string> {
  const url = `${store.url}/${key}`;
  const version = `${url} ${etag}`;
  const known = etag && cache.lastIntegrityOf(version);
  if (known && cache.has(known)) return known;
  if (sizeBytes > MAX_OBJECT_BYTES) {
    const message = `${url} has ${sizeBytes} bytes, too many for one file. Split it into several below one prefix.`;
    throw new DabarexError('source_too_large', message, { url, sizeBytes });
  }
  const bytes = await store.read(key, { signal });
  const integrity = integrityOf(bytes);
  cache.write(version, integrity, bytes);
  return integrity;
}

async function* filesOf(
  source: S3SourceUrl,
  listing: SourceListing,
  cache: SourceCache,
): AsyncGenerator<SourceFile> {
  for (const [path, integrity] of [...listing].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const bytes = cache.read(integrity);
    if (!bytes) {
      const message = `${source.url}: the copy of ${path} in the cache was damaged or removed while it was read. Run again to fetch it.`;
      throw new DabarexError('source_hash_mismatch', message, { url: source.url, path });
    }
    yield { path, bytes };
  }
}
