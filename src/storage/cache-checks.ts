/** What is said of objects that are not what they should be. */
import { DabarexError } from '../base/index.ts';
import type { CachePlace } from './cache-layout.ts';
import type { ObjectStore } from './object-store.ts';

/** A digest that is not the one expected. */
export interface Doubt {
  readonly algorithm: string;
  readonly expected: string;
  readonly found: string;
  readonly isByEtag?: boolean;
}

/** A file of a local store as it is. @throws object_corrupt where it has not the size expected */
export async function localFile(
  store: ObjectStore,
  key: string,
  path: string,
  expected: number | undefined,
): Promise<{ path: string; sizeBytes: number; release: () => void }> {
  const { sizeBytes } = await store.stat(key);
  if (expected === undefined || expected === sizeBytes) return { path, sizeBytes, release: () => undefined };
  throw new DabarexError(
    'object_corrupt',
    `${path} has ${sizeBytes} bytes, its index says ${expected}. Copy it again, or the index that belongs to it.`,
    { path, expected, found: sizeBytes },
  );
}

/** The object does not have the digest expected, twice. */
export function corrupt(
  store: ObjectStore,
  { key }: Pick<CachePlace, 'key'>,
  { algorithm, expected, found, isByEtag }: Doubt,
): DabarexError {
  return new DabarexError(
    'object_corrupt',
    `${store.url}/${key} has the ${algorithm} ${found}, its ${isByEtag ? 'ETag' : 'index'} says ${expected}; it was fetched twice. Upload it again, or the index that belongs to it.`,
    { url: store.url, key, algorithm, expected, found },
  );
}
