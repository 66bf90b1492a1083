/** A folder as a store. Objects are files; writing is by temporary name, sync and rename. */
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DabarexError, fileError, writeFileAtomic } from '../base/index.ts';
import {
  type ByteRange,
  checkKey,
  type ObjectEntry,
  type ObjectSink,
  type ObjectStat,
  type ObjectStore,
  type RequestOptions,
  shortObject,
} from './object-store.ts';

export class FileStore implements ObjectStore {
  readonly url: string;
  private readonly folder: string;

  /** @param folder absolute; it need not be there yet */
  constructor(folder: string) {
    this.folder = folder;
    this.url = pathToFileURL(folder).href;
  }

  localPath(key: string): string {
    checkKey(key, this.url);
    return join(this.folder, key);
  }

  async stat(key: string): Promise<ObjectStat> {
    const path = this.localPath(key);
    return guarded(path, () => {
      const found = statSync(path);
      if (!found.isFile()) throw missing(path, 'is not a file');
      return { sizeBytes: found.size, etag: `${found.mtimeMs}-${found.size}-${found.ino}` };
    });
  }

  async read(
    key: string,
    { range, signal }: RequestOptions & { range?: ByteRange } = {},
  ): Promise<Uint8Array> {
    signal?.throwIfAborted();
    const { sizeBytes } = await this.stat(key);
    const path = this.localPath(key);
    const { start, end } = range ?? { start: 0, end: sizeBytes };
    if (end > sizeBytes) throw shortObject(path, { start, end }, Math.max(0, sizeBytes - start));
    return guarded(path, async () => {
      const file = await open(path);
      try {
        const bytes = new Uint8Array(Math.max(0, end - start));
        for (let at = 0; at < bytes.length; ) {
          const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
          if (bytesRead === 0) throw shortObject(path, { start, end }, at);
          at += bytesRead;
        }
        return bytes;
      } finally {
        await file.close();
      }
    });
  }

  async readInto(
    key: string,
    sink: ObjectSink,
    { range, etag, signal }: RequestOptions & { range?: ByteRange; etag?: string } = {},
  ): Promise<ObjectStat> {
    const stat = await this.stat(key);
    const path = this.localPath(key);
    if (etag !== undefined && etag !== stat.etag) {
      throw new DabarexError('object_changed', `${path} was replaced while it was read. Run again.`, {
        path,
      });
    }
    const { start, end } = range ?? { start: 0, end: stat.sizeBytes };
    await sink.opened?.(stat, true);
    if (Math.min(end, stat.sizeBytes) <= start) return stat;
    return guarded(path, async () => {
      let position = start;
      for await (const part of createReadStream(path, { start, end: end - 1, signal })) {
        await sink.write(part as Uint8Array, position);
        position += (part as Uint8Array).length;
      }
      return stat;
    });
  }

  async write(key: string, bytes: Uint8Array, { signal }: RequestOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    writeFileAtomic(this.localPath(key), bytes);
  }

  async *list(prefix: string): AsyncGenerator<ObjectEntry> {
    const keys = await guarded(this.folder, () =>
      readdirSync(this.folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(this.folder.length + 1))
        .map((path) => path.split('\\').join('/'))
        .filter((key) => key.startsWith(prefix))
        .sort((a, b) => (a < b ? -1 : 1)),
    );
    for (const key of keys) yield { key, ...(await this.stat(key)) };
  }
}

async function guarded<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw missing(path, 'does not exist');
    throw fileError(error, path);
  }
}

function missing(path: string, problem: string): DabarexError {
  const message = `${path} ${problem}. Check the URL, and that what writes it was finished.`;
  return new DabarexError('object_missing', message, { url: path });
}
