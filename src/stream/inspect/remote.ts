/** An MDS data set in a store, inspected: its index is fetched, and each shard when its turn comes, to be given up when it was read. */
import { dirname } from 'node:path';
import { ObjectCache, openStore } from '../../storage/index.ts';
import type { RemoteOptions } from '../loader/remote-streams.ts';
import { type Inspection, type InspectOptions, inspectMds } from './inspect.ts';

export interface Fetched {
  /** where copies are kept */
  readonly cacheDir: string;
  readonly numFiles: number;
  readonly sizeBytes: number;
  /** that were in the cache */
  readonly numKept: number;
}

/** @param url of the folder of an index.json. @throws as {@link inspectMds}, and what the store and the cache throw */
export async function inspectRemoteMds(
  url: string,
  { cacheDir, cacheLimitBytes, stores }: Omit<RemoteOptions, 'predownload'>,
  options: Omit<InspectOptions, 'arrive'> = {},
): Promise<{ inspection: Inspection; fetched: Fetched }> {
  const cache = new ObjectCache({ dir: cacheDir, limitBytes: cacheLimitBytes });
  try {
    const store = openStore(url, stores);
    const { signal } = options;
    const index = await cache.fetch(store, 'index.json', { revalidate: true, signal });
    const found = await inspectMds(dirname(index.path), {
      ...options,
      arrive: (reader, shard) => {
        const { basename, sizeBytes, hashes } = reader.shardFile(shard);
        return cache.fetch(store, basename, { sizeBytes, hashes, signal });
      },
    });
    const { downloads, downloadedBytes, hits } = cache.stats();
    const fetched = { cacheDir, numFiles: downloads, sizeBytes: downloadedBytes, numKept: hits };
    return { inspection: { ...found, dir: store.url }, fetched };
  } finally {
    cache.close();
  }
}
