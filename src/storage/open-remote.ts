/** Remote stores with their limits, clock and jitter. */
import { hostname } from 'node:os';
import { threadId } from 'node:worker_threads';
import { type Clock, Rng, streamOf, systemClock } from '../base/index.ts';
import { type HttpOptions, HttpTransport } from './http-transport.ts';
import { type RemoteLimits, RemoteStore } from './remote-store.ts';
import { DEFAULT_RETRY, type RetryPolicy } from './retry.ts';
import { type S3Options, S3Transport } from './s3-transport.ts';
import { parseHttpUrl, parseS3Url } from './store-url.ts';

export interface RemoteOptions {
  readonly s3?: S3Options;
  readonly http?: HttpOptions;
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

/** @param url `s3://BUCKET/PREFIX`. @throws store_url_invalid */
export function openS3(url: string, options: RemoteOptions = {}): RemoteStore {
  const parts = remoteParts(options);
  // Beside the transfers there are looks and listings.
  const maxSockets = parts.maxRequests * 2;
  return new RemoteStore(new S3Transport(parseS3Url(url), options.s3 ?? {}, maxSockets), parts);
}

/** @param url `https://HOST/PREFIX`. @throws store_url_invalid */
export function openHttp(url: string, options: RemoteOptions = {}): RemoteStore {
  return new RemoteStore(new HttpTransport(parseHttpUrl(url), options.http ?? {}), remoteParts(options));
}

function remoteParts({ limits = {}, clock = systemClock, rng }: RemoteOptions) {
  return {
    ...DEFAULT_LIMITS,
    ...limits,
    retry: { ...DEFAULT_RETRY, ...limits.retry },
    clock,
    rng: rng ?? new Rng(streamOf(hostname()), process.pid * 4096 + threadId),
  };
}
