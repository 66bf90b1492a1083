/**
 * An object into a file, in parallel ranges. The file has its full length from the start; a journal beside it (`FILE.parts`) says of which version it is
 * and which parts are complete, so that whoever comes after a killed process goes on where that one was.
 * Limit: the journal is believed only within one boot of the machine: pages that were written but not synced may be lost with the power.
 */
import { readFileSync, rmSync, statfsSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DabarexError, fileError, thisProcess } from '../base/index.ts';
import type { ByteRange, ObjectStat, ObjectStore } from './object-store.ts';

export interface DownloadLimits {
  readonly partBytes: number;
  /** ranges under way at once */
  readonly parallelParts: number;
}

export const DEFAULT_DOWNLOAD: DownloadLimits = { partBytes: 8 * 2 ** 20, parallelParts: 4 };

export interface ObjectDownload {
  readonly store: ObjectStore;
  readonly key: string;
  /** the file, which is no one else's; left with its journal when the download ends early */
  readonly path: string;
  readonly limits: DownloadLimits;
  /** one stream and nothing taken over: for a store whose ranges are not to be trusted */
  readonly isWhole?: boolean;
  /** what the index says. @throws object_corrupt where the object has another size */
  readonly sizeBytes?: number;
  readonly signal?: AbortSignal;
  /** called when the file has its length, before anything is written; what it throws ends the download */
  readonly sized?: (sizeBytes: number) => void;
}

/** Versions that may follow one another under our eyes before it is given up. */
const MAX_VERSIONS = 3;

/**
 * Downloads the object, or what is missing of it, and syncs the file.
 * @throws what the store throws; object_changed where it is replaced again and again; object_corrupt; disk_full
 */
export async function downloadObject(download: ObjectDownload): Promise<ObjectStat> {
  for (let version = 1; ; version++) {
    try {
      return await downloadVersion(download);
    } catch (error) {
      const isChanged = error instanceof DabarexError && error.code === 'object_changed';
      if (!isChanged || version === MAX_VERSIONS) throw fileError(error, download.path);
      removeDownload(download.path);
    }
  }
}

/** Removes a download that is not to be continued. */
export function removeDownload(path: string): void {
  rmSync(journalPath(path), { force: true });
  rmSync(path, { force: true });
}

/** Whether a download that ended early left what another can go on with. */
export function isContinuable(path: string): boolean {
  return readJournal(path) !== undefined;
}

/** Drops the journal of a file that is complete. */
export function finishDownload(path: string): void {
  rmSync(journalPath(path), { force: true });
}

async function downloadVersion(download: ObjectDownload): Promise<ObjectStat> {
  const begun = download.isWhole ? undefined : readJournal(download.path);
  if (!begun) removeDownload(download.path);
  const file = await open(download.path, begun ? 'r+' : 'w');
  try {
    const fresh = download.isWhole ? whole : fromStart;
    const stat = begun ? await continued(download, file, begun) : await fresh(download, file);
    await file.sync();
    return stat;
  } finally {
    await file.close();
  }
}

class NotRanged extends Error {}

async function fromStart(download: ObjectDownload, file: FileHandle): Promise<ObjectStat> {
  const { partBytes } = download.limits;
  const parts = new Parts(download, file);
  let rest: Promise<void> | undefined;
  const opened = async (stat: ObjectStat, isRanged: boolean) => {
    if (!isRanged && (stat.sizeBytes < 0 || stat.sizeBytes > partBytes)) throw new NotRanged();
    await parts.begin({ ...stat, partBytes, boot: bootId() });
    // The first answer names the version; the other ranges ask for the same.
    rest = parts.fetchMissing(1);
    rest.catch(() => undefined);
  };
  try {
    await parts.fetch(0, undefined, opened);
    await rest;
    return parts.stat();
  } catch (error) {
    await parts.stop(rest);
    if (error instanceof NotRanged) return whole(download, file);
    if (error instanceof DabarexError && error.fields.reason === 'out_of_range')
      return empty(download, file, error);
    throw error;
  } finally {
    await parts.close();
  }
}

async function continued(download: ObjectDownload, file: FileHandle, begun: Journal): Promise<ObjectStat> {
  checkSize(download, begun.header.sizeBytes);
  const parts = new Parts(download, file);
  await parts.resume(begun);
  const rest = parts.fetchMissing(0);
  try {
    await rest;
    return parts.stat();
  } catch (error) {
    await parts.stop(rest);
    throw error;
  } finally {
    await parts.close();
  }
}

/** One stream, no journal. */
async function whole(download: ObjectDownload, file: FileHandle): Promise<ObjectStat> {
  const { store, key, signal } = download;
  const sink = {
    opened: async ({ sizeBytes }: ObjectStat) => {
      if (sizeBytes >= 0) await prepare(download, file, sizeBytes);
    },
    write: (bytes: Uint8Array, position: number) => writeAt(file, bytes, position),
  };
  const stat = await store.readInto(key, sink, { signal });
  checkSize(download, stat.sizeBytes);
  await file.truncate(stat.sizeBytes);
  return stat;
}

/** A range of an object without bytes cannot be had: that is how stores answer for an empty one. */
async function empty(download: ObjectDownload, file: FileHandle, error: DabarexError): Promise<ObjectStat> {
  const stat = await download.store.stat(download.key, { signal: download.signal });
  if (stat.sizeBytes > 0) throw error;
  await prepare(download, file, 0);
  return stat;
}

/** The parts of one version of an object: which are there, and how the others are fetched. */
class Parts {
  private readonly download: ObjectDownload;
  private readonly file: FileHandle;
  private readonly controller = new AbortController();
  private readonly done = new Set<number>();
  private readonly onAbort = () => this.controller.abort(this.download.signal!.reason);
  private header!: JournalHeader;
  private journal: FileHandle | undefined;

  constructor(download: ObjectDownload, file: FileHandle) {
    this.download = download;
    this.file = file;
    if (download.signal?.aborted) this.onAbort();
    download.signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  stat(): ObjectStat {
    const { sizeBytes, etag, md5 } = this.header;
    return { sizeBytes, etag, md5 };
  }

  async begin(header: JournalHeader): Promise<void> {
    this.header = header;
    await prepare(this.download, this.file, header.sizeBytes);
    // Without a version nobody could tell whether the rest is of the same.
    if (header.etag === undefined || header.sizeBytes <= header.partBytes) return;
    this.journal = await open(journalPath(this.download.path), 'w');
    await this.journal.write(`${JSON.stringify(header)}\n`);
  }

  async resume({ header, done }: Journal): Promise<void> {
    this.header = header;
    for (const index of done) this.done.add(index);
    this.journal = await open(journalPath(this.download.path), 'a');
    this.download.sized?.(header.sizeBytes);
  }

  /** Fetches all parts from number `first` on that are not there. */
  async fetchMissing(first: number): Promise<void> {
    const missing: number[] = [];
    const numParts = Math.ceil(this.header.sizeBytes / this.header.partBytes);
    for (let i = first; i < numParts; i++) if (!this.done.has(i)) missing.push(i);
    const lanes = Array.from({ length: this.download.limits.parallelParts }, async () => {
      for (let i = missing.shift(); i !== undefined; i = missing.shift())
        await this.fetch(i, this.header.etag);
    });
    await Promise.all(lanes);
  }

  async fetch(
    index: number,
    etag: string | undefined,
    opened?: (stat: ObjectStat, isRanged: boolean) => Promise<void>,
  ): Promise<void> {
    const { store, key, limits } = this.download;
    const partBytes = this.header?.partBytes ?? limits.partBytes;
    const range: ByteRange = { start: index * partBytes, end: (index + 1) * partBytes };
    const write = (bytes: Uint8Array, position: number) => writeAt(this.file, bytes, position);
    const stat = await store.readInto(
      key,
      { opened, write },
      { range, etag, signal: this.controller.signal },
    );
    if (stat.sizeBytes !== this.header.sizeBytes) {
      throw new DabarexError(
        'object_changed',
        `${store.url}/${key} was replaced while it was read. Run again.`,
        {
          url: store.url,
          key,
        },
      );
    }
    this.done.add(index);
    await this.journal?.write(`${index}\n`);
  }

  /** Ends the requests under way, and waits until none writes any more. */
  async stop(rest: Promise<void> | undefined): Promise<void> {
    this.controller.abort(new Error('another part of the object failed'));
    await rest?.catch(() => undefined);
  }

  async close(): Promise<void> {
    this.download.signal?.removeEventListener('abort', this.onAbort);
    await this.journal?.close();
  }
}

interface JournalHeader extends ObjectStat {
  readonly partBytes: number;
  readonly boot: string;
}

interface Journal {
  readonly header: JournalHeader;
  readonly done: readonly number[];
}

function journalPath(path: string): string {
  return `${path}.parts`;
}

/** What a download that ended early has; undefined where it cannot be continued. */
function readJournal(path: string): Journal | undefined {
  try {
    // A last line without its end was cut off while it was written.
    const lines = readFileSync(journalPath(path), 'utf8').split('\n').slice(0, -1);
    const header = JSON.parse(lines[0]!) as JournalHeader;
    const isSound = [header.sizeBytes, header.partBytes].every(
      (each) => Number.isSafeInteger(each) && each > 0,
    );
    const isOurs =
      isSound &&
      header.boot === bootId() &&
      typeof header.etag === 'string' &&
      statSync(path).size === header.sizeBytes;
    return isOurs ? { header, done: lines.slice(1).map(Number) } : undefined;
  } catch {
    return undefined;
  }
}

/** This boot of the machine; of this process alone where the system does not tell. */
function bootId(): string {
  const { processStart, pid } = thisProcess();
  return processStart.split(':')[0] || String(pid);
}

async function prepare(download: ObjectDownload, file: FileHandle, sizeBytes: number): Promise<void> {
  checkSize(download, sizeBytes);
  const { bavail, bsize } = statfsSync(dirname(download.path));
  if (bavail * bsize < sizeBytes) {
    throw new DabarexError(
      'disk_full',
      `${download.path} cannot be written: it needs ${sizeBytes} bytes, ${bavail * bsize} are free. Free space, or lower the limit of the cache.`,
      { path: download.path, sizeBytes },
    );
  }
  await file.truncate(sizeBytes);
  download.sized?.(sizeBytes);
}

function checkSize({ store, key, sizeBytes }: ObjectDownload, found: number): void {
  if (sizeBytes === undefined || sizeBytes === found) return;
  throw new DabarexError(
    'object_corrupt',
    `${store.url}/${key} has ${found} bytes, its index says ${sizeBytes}. Upload it again, or the index that belongs to it.`,
    { url: store.url, key, expected: sizeBytes, found },
  );
}

async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}
