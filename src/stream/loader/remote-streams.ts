/**
 * Streams whose shards stand in an object store: the index is fetched when a stream is opened, a shard before it is read,
 * and those that the order of samples needs next ahead of that, as far as the cache has room. All are files of the cache, which
 * may take back what is not held: a shard is held while it is needed or expected, within half of the limit, and its file closed before
 * it is given up. Limit: a batch whose own shards are more than the cache holds fails with cache_too_small.
 */
import { dirname } from 'node:path';
import type { CachedObject, ObjectStore, StoreOptions } from '../../storage/index.ts';
import { ObjectCache, openStore } from '../../storage/index.ts';
import { MdsReader, type MdsShardFile } from '../mds-reader.ts';
import type { SamplePlace, ShardPlace } from '../places.ts';

export interface RemoteOptions {
  readonly cacheDir: string;
  readonly cacheLimitBytes: number;
  /** how stores are reached; plain data */
  readonly stores: StoreOptions;
  /** samples, beyond the batch at hand, whose shards are fetched ahead */
  readonly predownload: number;
}

interface RemoteStream {
  readonly store: ObjectStore;
  readonly reader: MdsReader;
}

interface Held {
  readonly stream: RemoteStream;
  readonly shard: number;
  readonly sizeBytes: number;
  object?: CachedObject;
  readonly arrived: Promise<CachedObject>;
}

const MAX_FETCHES_AHEAD = 8;

export class RemoteStreams {
  private readonly cache: ObjectCache;
  private readonly options: RemoteOptions;
  private readonly streams = new Map<string, RemoteStream>();
  private readonly indexes: CachedObject[] = [];
  private readonly abort = new AbortController();
  /** by stream and shard, the one used last at the end */
  private readonly held = new Map<string, Held>();
  private heldBytes = 0;

  private constructor(options: RemoteOptions) {
    this.options = options;
    this.cache = new ObjectCache({ dir: options.cacheDir, limitBytes: options.cacheLimitBytes });
  }

  /** Fetches the indexes. @throws object_missing, store_unreachable and what else the store throws; shard_index_invalid */
  static async open(urls: Readonly<Record<string, string>>, options: RemoteOptions): Promise<RemoteStreams> {
    const remote = new RemoteStreams(options);
    try {
      await Promise.all(Object.entries(urls).map(([name, url]) => remote.openStream(name, url)));
      return remote;
    } catch (error) {
      remote.close();
      throw error;
    }
  }

  /** stream -> reader of its shards, for a data set; each shard must be {@link ready} before it is read */
  get readers(): Record<string, MdsReader> {
    return Object.fromEntries([...this.streams].map(([name, { reader }]) => [name, reader]));
  }

  /**
   * Waits until the shards of `samples` can be read; they stay until the next call.
   * @param expected what comes after those, to be fetched meanwhile
   * @throws what the store and the cache throw
   */
  async ready(samples: readonly SamplePlace[], expected: () => readonly ShardPlace[]): Promise<void> {
    const needed = new Set<string>();
    for (const { stream, index } of samples) {
      const remote = this.streams.get(stream);
      if (remote) needed.add(`${remote.reader.shardOf(index)} ${stream}`);
    }
    this.makeRoom(needed);
    const arriving = [...needed].map((key) => this.hold(key).arrived);
    this.fetchAhead(expected());
    // All are waited for, so that what arrives late is not left without an owner.
    const outcomes = await Promise.allSettled(arriving);
    const failed = outcomes.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** Gives up what is on its way, closes the files and gives them back. */
  close(): void {
    this.abort.abort(new Error('the loader was closed'));
    for (const key of [...this.held.keys()]) this.release(key);
    for (const each of this.indexes) each.release();
    for (const { reader } of this.streams.values()) reader.close();
    this.cache.close();
  }

  private async openStream(name: string, url: string): Promise<void> {
    const store = openStore(url, this.options.stores);
    const { signal } = this.abort;
    const index = await this.cache.fetch(store, 'index.json', { revalidate: true, signal });
    this.indexes.push(index);
    const reader = new MdsReader(dirname(index.path), { files: 'arriving' });
    this.streams.set(name, { store, reader });
  }

  private hold(key: string): Held {
    const known = this.held.get(key);
    if (known) {
      this.held.delete(key);
      this.held.set(key, known);
      return known;
    }
    const split = key.indexOf(' ');
    const shard = Number(key.slice(0, split));
    const stream = this.streams.get(key.slice(split + 1))!;
    const { basename, sizeBytes, hashes } = stream.reader.shardFile(shard);
    const { signal } = this.abort;
    const arrived = this.cache.fetch(stream.store, basename, { sizeBytes, hashes, signal });
    const held: Held = { stream, shard, sizeBytes, arrived };
    this.held.set(key, held);
    this.heldBytes += sizeBytes;
    arrived.then(
      (object) => {
        // It may have been given up on its way.
        if (this.held.get(key) === held) held.object = object;
        else object.release();
      },
      () => this.forget(key, held),
    );
    return held;
  }

  private fetchAhead(expected: readonly ShardPlace[]): void {
    let arriving = [...this.held.values()].filter(({ object }) => !object).length;
    for (const { stream, shard } of expected) {
      const remote = this.streams.get(stream);
      const key = `${shard} ${stream}`;
      if (!remote || this.held.has(key)) continue;
      const { sizeBytes } = remote.reader.shardFile(shard);
      if (arriving >= MAX_FETCHES_AHEAD || this.heldBytes + sizeBytes > this.options.cacheLimitBytes / 2)
        return;
      this.hold(key);
      arriving++;
    }
  }

  /** Gives up what was used longest ago, until what is needed fits into half of the limit, or nothing else is held. */
  private makeRoom(needed: ReadonlySet<string>): void {
    const sizeOf = (key: string) => {
      const split = key.indexOf(' ');
      return this.streams.get(key.slice(split + 1))!.reader.shardFile(Number(key.slice(0, split))).sizeBytes;
    };
    let wanted = this.heldBytes;
    for (const key of needed) if (!this.held.has(key)) wanted += sizeOf(key);
    for (const [key, { sizeBytes }] of [...this.held]) {
      if (wanted <= this.options.cacheLimitBytes / 2) return;
      if (needed.has(key)) continue;
      this.release(key);
      wanted -= sizeBytes;
    }
  }

  private release(key: string): void {
    const held = this.held.get(key)!;
    this.forget(key, held);
    held.stream.reader.forget(held.shard);
    held.object?.release();
  }

  private forget(key: string, held: Held): void {
    if (this.held.get(key) !== held) return;
    this.held.delete(key);
    this.heldBytes -= held.sizeBytes;
  }
}

/** A data set, or its index alone, as a local folder. */
export interface FetchedDataset {
  readonly dir: string;
  /** Nothing of it may be read afterwards. */
  release(): void;
}

/** The index alone. @throws what the store and the cache throw */
export function fetchIndex(
  url: string,
  options: Omit<RemoteOptions, 'predownload'>,
): Promise<FetchedDataset> {
  return fetchInto(url, options, () => []);
}

/** All of a data set. @throws what the store and the cache throw; shard_index_invalid */
export function fetchDataset(
  url: string,
  options: Omit<RemoteOptions, 'predownload'>,
): Promise<FetchedDataset> {
  return fetchInto(url, options, (reader) =>
    Array.from({ length: reader.numShards }, (_, shard) => reader.shardFile(shard)),
  );
}

async function fetchInto(
  url: string,
  { cacheDir, cacheLimitBytes, stores }: Omit<RemoteOptions, 'predownload'>,
  filesOf: (reader: MdsReader) => MdsShardFile[],
): Promise<FetchedDataset> {
  const cache = new ObjectCache({ dir: cacheDir, limitBytes: cacheLimitBytes });
  try {
    const store = openStore(url, stores);
    const { path } = await cache.fetch(store, 'index.json', { revalidate: true });
    const reader = new MdsReader(dirname(path), { files: 'arriving' });
    const files = filesOf(reader);
    reader.close();
    await Promise.all(
      files.map(({ basename, sizeBytes, hashes }) => cache.fetch(store, basename, { sizeBytes, hashes })),
    );
    return { dir: dirname(path), release: () => cache.close() };
  } catch (error) {
    cache.close();
    throw error;
  }
}
