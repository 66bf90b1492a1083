/** The one entry to stores of objects, by URL. */
import { resolve } from 'node:path';
import type { NpmOptions } from './download.ts';
import { FileStore } from './file-store.ts';
import { NpmStore } from './npm-store.ts';
import type { ObjectStore } from './object-store.ts';
import { openHttp, openS3, type RemoteOptions } from './open-remote.ts';
import { parseSourceUrl } from './source-url.ts';
import { storeUrlInvalid } from './store-url.ts';

export interface StoreOptions extends RemoteOptions {
  /** for `npm:` */
  readonly npm?: NpmOptions;
  /** where `npm:` packages are kept */
  readonly cacheDir?: string;
  /** what relative paths start from; the working directory unless told */
  readonly baseDir?: string;
}

/**
 * Opens the store at `url`: `file:PATH` or a plain path, `s3://bucket/prefix`, `https://host/prefix`, `npm:name@1.2.3`. Nothing is asked of it yet.
 * @throws store_url_invalid, source_url_invalid
 * @example
 * const store = openStore('s3://corpora/books', { s3: { endpoint: 'http://127.0.0.1:9000', credentials } });
 * const index = await store.read('index.json');
 */
export function openStore(url: string, options: StoreOptions = {}): ObjectStore {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]?.toLowerCase();
  if (scheme === 's3') return openS3(url, options);
  if (scheme === 'http' || scheme === 'https') return openHttp(url, options);
  if (scheme !== undefined && scheme !== 'npm' && scheme !== 'file') {
    throw storeUrlInvalid(url, `the scheme "${scheme}:" is not known; use file:, s3:, https: or npm:`);
  }
  const source = parseSourceUrl(url);
  if (source.glob !== undefined) throw storeUrlInvalid(url, 'a store is named without "#"');
  if (source.kind === 'file') return new FileStore(resolve(options.baseDir ?? '.', source.path));
  const cacheDir = options.cacheDir ?? resolve(options.baseDir ?? '.', '.cache');
  return new NpmStore(url, { ...options, cacheDir });
}
