/**
 * One entry for every source of text: npm packages, local files and folders, files over http(s), objects in buckets.
 * What was fetched is kept in the cache by its hash, so a pinned source needs the network once.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { DabarexError } from '../base/index.ts';
import { type DownloadOptions, download } from './download.ts';
import { globMatcher } from './glob.ts';
import { algorithmOf, hashMismatch, integrityOf, verifyIntegrity } from './integrity.ts';
import type { RemoteOptions } from './open-remote.ts';
import { s3Source } from './s3-source.ts';
import { SourceCache } from './source-cache.ts';
import { listingText } from './source-listing.ts';
import { parseSourceUrl, type SourceUrl } from './source-url.ts';
import { MAX_ENTRY_BYTES, readTar, type SourceFile } from './tar.ts';

/** Node reads no more at once. */
const MAX_READ_BYTES = 2 ** 31 - 1;

export interface SourceRequest {
  readonly url: string;
  /** `sha512-BASE64` or `sha256-BASE64` of the tarball or file; of the listing for a folder or prefix */
  readonly integrity?: string;
}

export interface FetchOptions extends DownloadOptions {
  readonly cacheDir: string;
  /** what relative `file:` paths start from; the working directory unless told */
  readonly baseDir?: string;
  /** for `s3:` */
  readonly store?: RemoteOptions;
  /** told when the network failed and the cache was used instead */
  readonly warn?: (message: string) => void;
}

export interface FetchedSource {
  /** The files that match the glob, read as they are asked for. Fails with source_not_found where none matches. */
  readonly files: AsyncIterable<SourceFile>;
  readonly integrity: string;
  readonly fromCache: boolean;
}

/**
 * Makes the source's bytes available and verified; its files are read lazily.
 * A glob is matched on paths inside the package (without npm's leading `package/`), folder or archive.
 * @throws source_url_invalid, source_fetch_failed, source_hash_mismatch, source_not_found, source_too_large, and what an `s3:` store throws; while reading, source_corrupt
 * @example
 * const { files } = await fetchSource({ url: 'npm:rxjs@7.8.2#src/**' + '/*.ts' }, { cacheDir: '.cache' });
 * for await (const { path, bytes } of files) console.log(path, bytes.length);
 */
export async function fetchSource(request: SourceRequest, options: FetchOptions): Promise<FetchedSource> {
  const source = parseSourceUrl(request.url);
  if (request.integrity) algorithmOf(request.integrity);
  if (source.kind === 'file') return localSource(source, request.integrity, options);
  if (source.kind === 's3') {
    const found = await s3Source(source, request.integrity, options);
    return { ...found, files: matched(found.files, source) };
  }
  const { bytes, fromCache } = await remoteBytes(source, request.integrity, options);
  return {
    files: matched(filesOf(source, bytes), source),
    integrity: integrityOf(bytes),
    fromCache,
  };
}

async function remoteBytes(
  source: Extract<SourceUrl, { kind: 'npm' | 'http' }>,
  pinned: string | undefined,
  options: FetchOptions,
): Promise<{ bytes: Uint8Array; fromCache: boolean }> {
  const cache = new SourceCache(options.cacheDir);
  const key = source.kind === 'npm' ? `npm:${source.name}@${source.version}` : source.address;
  const known = pinned ?? cache.lastIntegrityOf(key);
  const cached = known ? cache.read(known) : undefined;
  // A published version never changes; a file over http without a pin may.
  if (cached && (pinned || source.kind === 'npm')) return { bytes: cached, fromCache: true };
  try {
    const bytes = await download(source, options);
    if (pinned) verifyIntegrity(bytes, pinned, source.url);
    cache.write(key, pinned ?? integrityOf(bytes), bytes);
    return { bytes, fromCache: false };
  } catch (error) {
    const unreachable = error instanceof DabarexError && error.code === 'source_fetch_failed';
    if (!cached || !unreachable) throw error;
    options.warn?.(
      `${source.url} cannot be reached (${error.fields.reason}); the copy in the cache is used.`,
    );
    return { bytes: cached, fromCache: true };
  }
}

function filesOf(source: Exclude<SourceUrl, { kind: 's3' }>, bytes: Uint8Array): AsyncIterable<SourceFile> {
  const wanted = source.glob ? globMatcher(source.glob) : () => true;
  if (source.kind === 'npm') return npmFiles(bytes, wanted, source.url);
  const path = source.kind === 'file' ? source.path : new URL(source.address).pathname;
  if (/\.(tar|tgz|tar\.gz)$/.test(path)) return readTar(bytes, wanted, source.url);
  return single({ path: basename(path), bytes });
}

async function* npmFiles(bytes: Uint8Array, wanted: (path: string) => boolean, url: string) {
  const inside = (path: string) => path.slice(path.indexOf('/') + 1);
  for await (const file of readTar(bytes, (path) => wanted(inside(path)), url)) {
    yield { path: inside(file.path), bytes: file.bytes };
  }
}

async function* single(file: SourceFile): AsyncGenerator<SourceFile> {
  yield file;
}

function localSource(
  source: Extract<SourceUrl, { kind: 'file' }>,
  pinned: string | undefined,
  options: FetchOptions,
): FetchedSource {
  const path = resolve(options.baseDir ?? '.', source.path);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw notFound(source.url, `the file or folder ${path} does not exist`);
  if (stat.isDirectory()) return folderSource(path, source, pinned);
  const bytes = readWhole(path, source.url);
  if (pinned) verifyIntegrity(bytes, pinned, source.url);
  return { files: matched(filesOf(source, bytes), source), integrity: integrityOf(bytes), fromCache: false };
}

/** A folder's hash is that of its matching files' names and hashes, in the order of their names. */
function folderSource(
  folder: string,
  source: Extract<SourceUrl, { kind: 'file' }>,
  pinned: string | undefined,
): FetchedSource {
  const wanted = source.glob ? globMatcher(source.glob) : () => true;
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
    .map((path) => path.split('\\').join('/'))
    .filter(wanted)
    .sort((a, b) => (a < b ? -1 : 1));
  const hashes = new Map(paths.map((path) => [path, integrityOf(readWhole(join(folder, path), source.url))]));
  const integrity = integrityOf(Buffer.from(listingText(hashes)));
  if (pinned && pinned !== integrity) throw hashMismatch(source.url, pinned, integrity);
  const files = (async function* () {
    for (const [path, expected] of hashes) {
      const bytes = new Uint8Array(readWhole(join(folder, path), source.url));
      if (integrityOf(bytes) !== expected) throw changedWhileRead(source.url, join(folder, path));
      yield { path, bytes };
    }
  })();
  return { files: matched(files, source), integrity, fromCache: false };
}

async function* matched(files: AsyncIterable<SourceFile>, source: SourceUrl): AsyncGenerator<SourceFile> {
  let count = 0;
  for await (const file of files) {
    count++;
    if (file.bytes.length > MAX_ENTRY_BYTES) throw tooLarge(source.url, file.path, file.bytes.length);
    yield file;
  }
  if (count === 0) throw notFound(source.url, `no file matches ${source.glob ?? '**'}`);
}

/** @throws source_too_large before anything is read */
function readWhole(path: string, url: string): Uint8Array {
  const sizeBytes = statSync(path).size;
  if (sizeBytes > MAX_READ_BYTES) throw tooLarge(url, path, sizeBytes);
  return readFileSync(path);
}

function tooLarge(url: string, path: string, sizeBytes: number): DabarexError {
  const message = `${url}: ${path} has ${sizeBytes} bytes, too many for one file. Split it into several and name their folder.`;
  return new DabarexError('source_too_large', message, { url, path, sizeBytes });
}

/** What is read must be what was hashed. */
function changedWhileRead(url: string, path: string): DabarexError {
  const problem = `${url}: ${path} has changed while the folder was being read`;
  return new DabarexError('source_hash_mismatch', `${problem}. Run again when it is at rest.`, { url, path });
}

function notFound(url: string, why: string): DabarexError {
  return new DabarexError('source_not_found', `${url}: ${why}. Check the path after "#" or "file:".`, {
    url,
  });
}
