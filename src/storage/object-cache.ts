/**
 * Objects of remote stores as local files: fetched once however many ask, in this process or others of the node; verified before they get
 * their name; kept up to a limit; never taken away from who uses them. Nothing is shared but files, so a process may be killed at any moment.
 */
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  type Clock,
  DabarexError,
  fileError,
  type LockAttempt,
  Rng,
  systemClock,
  tryLock,
} from '../base/index.ts';
import { corrupt, type Doubt, localFile } from './cache-checks.ts';
import { CacheHolds } from './cache-holds.ts';
import { CacheLayout, type CachePlace } from './cache-layout.ts';
import { type CacheRecord, recordOf, removeObject, touchRecord, writeRecord } from './cache-record.ts';
import { CacheRoom, type CacheUsage } from './cache-room.ts';
import { cryptoDigest, type FileDigest } from './file-digest.ts';
import { Flights } from './flights.ts';
import {
  DEFAULT_DOWNLOAD,
  type DownloadLimits,
  downloadObject,
  finishDownload,
  isContinuable,
  removeDownload,
} from './object-download.ts';
import { checkKey, type ObjectStat, type ObjectStore } from './object-store.ts';

export interface ObjectCacheOptions {
  /** the cache's own folder; may be shared by processes, also of other limits */
  readonly dir: string;
  readonly limitBytes: number;
  readonly download?: Partial<DownloadLimits>;
  /** for algorithms node:crypto does not have; a digest of an algorithm nobody knows is not checked */
  readonly digest?: FileDigest;
  /** how long to wait for others to release what they hold, where there is no room; a minute unless told */
  readonly roomTimeoutMs?: number;
  readonly clock?: Clock;
  /** for the pauses between looks at another process's lock */
  readonly rng?: Rng;
}

export interface CacheRequest {
  /** what the index says */
  readonly sizeBytes?: number;
  /** what the index says: hexadecimal, by algorithm */
  readonly hashes?: Readonly<Record<string, string>>;
  /** ask the store whether it still has the version that is cached: for what no other file names, as an index */
  readonly revalidate?: boolean;
  readonly signal?: AbortSignal;
}

/** A local file, complete and verified, that stays until it is released. */
export interface CachedObject {
  readonly path: string;
  readonly sizeBytes: number;
  release(): void;
}

/** What a cache did since it was opened. */
export interface CacheStats {
  readonly hits: number;
  readonly downloads: number;
  readonly downloadedBytes: number;
  readonly evictions: number;
}

const MAX_POLL_MS = 200;
const ROOM_TIMEOUT_MS = 60_000;
/** how long whoever uses an old version is given to release it */
const REPLACE_TIMEOUT_MS = 2000;

export class ObjectCache {
  private readonly layout: CacheLayout;
  private readonly holds: CacheHolds;
  private readonly room: CacheRoom;
  private readonly flights = new Flights<CacheRecord>();
  private readonly clock: Clock;
  private readonly rng: Rng;
  private readonly digest: FileDigest;
  private readonly options: ObjectCacheOptions;
  private readonly counts = { hits: 0, downloads: 0, downloadedBytes: 0, evictions: 0 };

  /** @throws not_permitted, disk_full, path_unusable */
  constructor(options: ObjectCacheOptions) {
    this.options = options;
    this.layout = new CacheLayout(options.dir);
    this.holds = new CacheHolds(this.layout);
    this.room = new CacheRoom(this.layout, this.holds, options.limitBytes);
    this.clock = options.clock ?? systemClock;
    this.rng = options.rng ?? new Rng(process.pid, 1);
    this.digest = options.digest ?? cryptoDigest;
  }

  /**
   * The object as a local file. That of a `file:` store is the file itself.
   * @throws object_missing, object_corrupt, object_changed, cache_too_small, disk_full, and what the store throws
   */
  async fetch(store: ObjectStore, key: string, request: CacheRequest = {}): Promise<CachedObject> {
    request.signal?.throwIfAborted();
    checkKey(key, store.url);
    if (store.localPath) return localFile(store, key, store.localPath(key), request.sizeBytes);
    const place = this.layout.placeOf(store, key);
    this.holds.add(place);
    try {
      const present = request.revalidate ? undefined : this.lookUp(place, request);
      if (present) {
        this.counts.hits++;
        return this.handOut(place, present);
      }
      for (;;) {
        const obtain = (signal: AbortSignal) => this.obtain(store, place, { ...request, signal });
        const record = await this.flights.join(place.id, obtain, request.signal);
        // The flight may have been another's, who did not want the same digests.
        if (isWanted(record, request)) return this.handOut(place, record);
      }
    } catch (error) {
      this.holds.drop(place);
      throw fileError(error, place.path);
    }
  }

  /** Where an object is, or would be. */
  pathOf(store: ObjectStore, key: string): string {
    return store.localPath?.(key) ?? this.layout.placeOf(store, key).path;
  }

  stats(): CacheStats {
    return { ...this.counts };
  }

  /** Releases all that was handed out. */
  close(): void {
    this.holds.close((id) => this.layout.placeById(id, '', '', ''));
  }

  /** The object if it is there and no one is about to change that: see cache-holds.ts for the order of the two looks. */
  private lookUp(place: CachePlace, request: CacheRequest): CacheRecord | undefined {
    if (existsSync(place.lock)) return undefined;
    const record = recordOf(place);
    return record && isWanted(record, request) ? record : undefined;
  }

  private handOut(place: CachePlace, { sizeBytes }: CacheRecord): CachedObject {
    touchRecord(place, this.clock.epochMs());
    this.holds.use(place);
    let isReleased = false;
    const release = () => {
      if (isReleased) return;
      isReleased = true;
      this.holds.unuse(place);
    };
    return { path: place.path, sizeBytes, release };
  }

  /** Finds or fetches the object as the only one on this node. */
  private async obtain(store: ObjectStore, place: CachePlace, request: Obtaining): Promise<CacheRecord> {
    this.holds.setWaiting(place, true);
    try {
      const { release, isHeld } = await this.lock(place, request.signal);
      try {
        const present = recordOf(place);
        const confirmed = present && (await this.confirm(store, place, present, request));
        if (confirmed) {
          this.counts.hits++;
          return confirmed;
        }
        if (present) await this.replaceable(store, place, request.signal);
        removeObject(place);
        return await this.download(store, place, { ...request, isHeld });
      } catch (error) {
        if (!(error instanceof LockLost)) throw error;
      } finally {
        this.holds.setWaiting(place, false);
        release();
      }
    } finally {
      this.holds.setWaiting(place, false);
    }
    return this.obtain(store, place, request);
  }

  private async lock(
    place: CachePlace,
    signal: AbortSignal,
  ): Promise<Extract<LockAttempt, { isHeld: unknown }>> {
    for (let pauseMs = 5; ; pauseMs = Math.min(MAX_POLL_MS, pauseMs * 1.5)) {
      signal.throwIfAborted();
      const attempt = tryLock(place.lock);
      if (attempt.release) return attempt;
      await this.clock.sleep(pauseMs * (0.5 + this.rng.uniform()), signal);
    }
  }

  /** The record of what is there, where it is what is wanted; checked against store and digests as far as that was not done. */
  private async confirm(
    store: ObjectStore,
    place: CachePlace,
    record: CacheRecord,
    request: Obtaining,
  ): Promise<CacheRecord | undefined> {
    if (request.revalidate) {
      const stat = await store.stat(place.key, { signal: request.signal });
      if (stat.sizeBytes !== record.sizeBytes || stat.etag !== record.etag) return undefined;
    }
    if (isWanted(record, request)) return record;
    if (request.sizeBytes !== undefined && request.sizeBytes !== record.sizeBytes) return undefined;
    if (await this.doubtOf(place.path, { sizeBytes: record.sizeBytes }, request)) return undefined;
    const confirmed = { ...record, hashes: { ...record.hashes, ...request.hashes } };
    writeRecord(place, confirmed);
    return confirmed;
  }

  /** Waits until nobody uses the version that is to be replaced. @throws object_changed */
  private async replaceable(store: ObjectStore, place: CachePlace, signal: AbortSignal): Promise<void> {
    const giveUpAt = this.clock.now() + REPLACE_TIMEOUT_MS;
    while (this.holds.isHeld(place, 'using')) {
      if (this.clock.now() > giveUpAt) {
        throw new DabarexError(
          'object_changed',
          `${store.url}/${place.key} is another than the one in the cache, which is still in use. Stop what uses it, or give each its own cache folder.`,
          { url: store.url, key: place.key },
        );
      }
      await this.clock.sleep(MAX_POLL_MS, signal);
    }
  }

  /** What arrives wrong is fetched once more, in one piece: there are stores that answer ranges with other bytes. */
  private async download(store: ObjectStore, place: CachePlace, request: Downloading): Promise<CacheRecord> {
    const stat = await this.downloadIntoRoom(store, place, request, false);
    const doubt = await this.doubtOf(place.partial, stat, request);
    if (!doubt) return publish(place, stat, request);
    removeDownload(place.partial);
    const again = await this.downloadIntoRoom(store, place, request, true);
    const wrong = await this.doubtOf(place.partial, again, request);
    // Not every store's ETag is what it looks like: bytes that came twice are what it has.
    if (!wrong || (wrong.isByEtag && wrong.found === doubt.found)) return publish(place, again, request);
    removeDownload(place.partial);
    throw corrupt(store, place, wrong);
  }

  /** What speaks against the file: a digest of the index, or where that has none that can be checked, the store's own. */
  private async doubtOf(path: string, { md5 }: ObjectStat, request: Obtaining): Promise<Doubt | undefined> {
    let isChecked = false;
    for (const [algorithm, expected] of Object.entries(request.hashes ?? {})) {
      const found = await this.digest(path, algorithm, request.signal);
      isChecked ||= found !== undefined;
      if (found !== undefined && found !== expected.toLowerCase()) return { algorithm, expected, found };
    }
    if (isChecked || md5 === undefined) return undefined;
    const found = await cryptoDigest(path, 'md5', request.signal);
    return found === md5 ? undefined : { algorithm: 'md5', expected: md5, found: found!, isByEtag: true };
  }

  private async downloadIntoRoom(
    store: ObjectStore,
    place: CachePlace,
    { sizeBytes, signal }: Obtaining,
    isWhole: boolean,
  ): Promise<ObjectStat> {
    const limits = { ...DEFAULT_DOWNLOAD, ...this.options.download };
    const { key, partial: path } = place;
    const sized = (size: number) => this.reserve(size);
    const giveUpAt = this.clock.now() + (this.options.roomTimeoutMs ?? ROOM_TIMEOUT_MS);
    for (;;) {
      try {
        const stat = await downloadObject({ store, key, path, limits, sizeBytes, isWhole, signal, sized });
        this.counts.downloads++;
        this.counts.downloadedBytes += stat.sizeBytes;
        return stat;
      } catch (error) {
        const isFull = error instanceof DabarexError && error.code === 'disk_full';
        if (isFull || error instanceof NoRoom || !isContinuable(path)) removeDownload(path);
        if (error instanceof CacheTooSmall) throw this.tooSmall(store, place, error.sizeBytes, '');
        if (!(error instanceof NoRoom)) throw error;
        await this.waitForRoom(store, place, error.sizeBytes, giveUpAt, signal);
      }
    }
  }

  /** Counts the download against the limit. @throws NoRoom, CacheTooSmall */
  private reserve(sizeBytes: number): void {
    const { limitBytes } = this.options;
    if (sizeBytes > limitBytes) throw new CacheTooSmall(sizeBytes);
    if (this.room.charge(sizeBytes)) return;
    const usage = this.makeRoom(0);
    if (!usage || usage.usedBytes > limitBytes) throw new NoRoom(sizeBytes);
  }

  private makeRoom(extraBytes: number): CacheUsage | undefined {
    const usage = this.room.makeRoom(this.clock.epochMs(), extraBytes);
    this.counts.evictions += usage?.evicted ?? 0;
    return usage;
  }

  private async waitForRoom(
    store: ObjectStore,
    place: CachePlace,
    sizeBytes: number,
    giveUpAt: number,
    signal: AbortSignal,
  ): Promise<void> {
    for (;;) {
      const usage = this.makeRoom(sizeBytes);
      if (usage && usage.usedBytes + sizeBytes <= this.options.limitBytes) return;
      if (this.clock.now() > giveUpAt) {
        throw this.tooSmall(store, place, sizeBytes, ` while ${usage?.usedBytes ?? 'others'} are in use`);
      }
      await this.clock.sleep(MAX_POLL_MS * (0.5 + this.rng.uniform()), signal);
    }
  }

  private tooSmall(store: ObjectStore, { key }: CachePlace, sizeBytes: number, why: string): DabarexError {
    const { limitBytes, dir } = this.options;
    return new DabarexError(
      'cache_too_small',
      `${store.url}/${key} has ${sizeBytes} bytes; the cache ${dir} may hold ${limitBytes} in all${why}. Raise its limit, or fetch less ahead.`,
      { key, sizeBytes, limitBytes },
    );
  }
}

type Obtaining = CacheRequest & { readonly signal: AbortSignal };

type Downloading = Obtaining & { readonly isHeld: () => boolean };

/** Another process came to have our lock: what we downloaded is not to be trusted, see {@link tryLock}. */
class LockLost extends Error {}

/** What others hold leaves no room now. */
class NoRoom extends Error {
  readonly sizeBytes: number;

  constructor(sizeBytes: number) {
    super('no room in the cache');
    this.sizeBytes = sizeBytes;
  }
}

/** The object would not fit even alone. */
class CacheTooSmall extends NoRoom {}

function isWanted(record: CacheRecord, { sizeBytes, hashes = {} }: CacheRequest): boolean {
  if (sizeBytes !== undefined && sizeBytes !== record.sizeBytes) return false;
  return Object.entries(hashes).every(([algorithm, hash]) => record.hashes[algorithm] === hash);
}

/** Gives the verified download its name. */
function publish(place: CachePlace, { sizeBytes, etag }: ObjectStat, request: Downloading): CacheRecord {
  const { url, key, name } = place;
  const { hashes = {}, isHeld } = request;
  if (!isHeld()) throw new LockLost();
  try {
    const modifiedMs = Math.floor(statSync(place.partial).mtimeMs);
    const record = { url, key, name, sizeBytes, etag, hashes, modifiedMs };
    finishDownload(place.partial);
    writeRecord(place, record);
    mkdirSync(dirname(place.path), { recursive: true });
    renameSync(place.partial, place.path);
    return record;
  } catch (error) {
    throw fileError(error, place.path);
  }
}
