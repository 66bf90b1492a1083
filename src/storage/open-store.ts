/** The one entry to stores of objects, by URL. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { threadId } from 'node:worker_threads';
import { type Clock, Rng, streamOf, systemClock } from '../base/index.ts';
import type { NpmOptions } from './download.ts';
import { FileStore } from './file-store.ts';
import { type HttpOptions, HttpTransport } from './http-transport.ts';
import { NpmStore } from './npm-store.ts';
import type { ObjectStore } from './object-store.ts';
import { type RemoteLimits, RemoteStore } from './remote-store.ts';
import { DEFAULT_RETRY, type RetryPolicy } from './retry.ts';
import { type S3Options, S3Transport } from './s3-transport.ts';
import { parseSourceUrl } from './source-url.ts';
import { parseHttpUrl, parseS3Url, storeUrlInvalid } from './store-url.ts';

export interface StoreOptions {
  readonly s3?: S3Options;
  readonly http?: HttpOptions;
  /** for `npm:` */
  readonly npm?: NpmOptions;
  /** where `npm:` packages are kept */
  readonly cacheDir?: string;
  /** what relative paths start from; the working directory unless told */
  readonly baseDir?: string;
  readonly limits?: Partial<Omit<RemoteLimits, 'retry'>> & { readonly retry?: Partial<RetryPolicy> };
  readonly clock?: Clock;
  /** for the jitter; of process and host unless told, so that those who fail together do not come back together */
  readonly rng?: Rng;
}

const DEFAULT_LIMITS: Omit<RemoteLimits, 'retry'> = {
  retryBudget: 100,
  stallTimeoutMs: 30_000,
  maxRequests: 32,
};

/**
 * Opens the store at `url`: `file:PATH` or a plain path, `s3://bucket/prefix`, `https://host/prefix`, `npm:name@1.2.3`. Nothing is asked of it yet.
 * @throws store_url_invalid, source_url_invalid
 * @example
 * const store = openStore('s3://corpora/books', { s3: { endpoint: 'http://127.0.0.1:9000', credentials } });
 * const index = await store.read('index.json');
 */
export function openStore(url: string, options: StoreOptions = {}): ObjectStore {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]?.toLowerCase();
  const parts = remoteParts(options);
  if (scheme === 's3') {
    return new RemoteStore(new S3Transport(parseS3Url(url), options.s3 ?? {}, parts.maxRequests * 2), parts);
  }
  if (scheme === 'http' || scheme === 'https') {
    return new RemoteStore(new HttpTransport(parseHttpUrl(url), options.http ?? {}), parts);
  }
  if (scheme !== undefined && scheme !== 'npm' && scheme !== 'file') {
    throw storeUrlInvalid(url, `the scheme "${scheme}:" is not known; use file:, s3:, https: or npm:`);
  }
  const source = parseSourceUrl(url);
  if (source.glob !== undefined) throw storeUrlInvalid(url, 'a store is named without "#"');
  if (source.kind === 'file') return new FileStore(resolve(options.baseDir ?? '.', source.path));
  return new NpmStore(url, {
    ...options,
    cacheDir: options.cacheDir ?? resolve(options.baseDir ?? '.', '.cache'),
  });
}

function remoteParts({ limits = {}, clock = systemClock, rng }: StoreOptions) {
  return {
    ...DEFAULT_LIMITS,
    ...limits,
    retry: { ...DEFAULT_RETRY, ...limits.retry },
    clock,
    rng: rng ?? new Rng(streamOf(hostname()), process.pid * 4096 + threadId),
  };
}
