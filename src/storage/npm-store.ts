/** A package of the npm registry as a store that is only read: its files by path, fetched and verified as a source of text is, once. */
import { DabarexError } from '../base/index.ts';
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
import { type FetchOptions, fetchSource } from './source.ts';

/** Limit: the package's files are in memory while the store is. */
export class NpmStore implements ObjectStore {
  readonly url: string;
  private readonly options: FetchOptions;
  private loading: Promise<{ files: ReadonlyMap<string, Uint8Array>; etag: string }> | undefined;

  /** @param url `npm:NAME@1.2.3` */
  constructor(url: string, options: FetchOptions) {
    this.url = url;
    this.options = options;
  }

  async stat(key: string): Promise<ObjectStat> {
    const { bytes, etag } = await this.file(key);
    return { sizeBytes: bytes.length, etag };
  }

  async read(
    key: string,
    { range, signal }: RequestOptions & { range?: ByteRange } = {},
  ): Promise<Uint8Array> {
    const { bytes } = await this.file(key);
    signal?.throwIfAborted();
    if (!range) return bytes;
    if (range.end > bytes.length) {
      throw shortObject(`${this.url}/${key}`, range, Math.max(0, bytes.length - range.start));
    }
    return bytes.subarray(range.start, range.end);
  }

  async readInto(
    key: string,
    sink: ObjectSink,
    { range }: RequestOptions & { range?: ByteRange } = {},
  ): Promise<ObjectStat> {
    const { bytes, etag } = await this.file(key);
    const stat = { sizeBytes: bytes.length, etag };
    await sink.opened?.(stat, true);
    const start = range?.start ?? 0;
    const part = bytes.subarray(start, range?.end);
    if (part.length > 0) await sink.write(part, start);
    return stat;
  }

  async write(key: string): Promise<void> {
    throw new DabarexError(
      'store_read_only',
      `${this.url}/${key} cannot be written: a published package never changes. Write to a folder or to s3:.`,
      { url: this.url },
    );
  }

  async *list(prefix: string): AsyncGenerator<ObjectEntry> {
    const { files, etag } = await this.load();
    for (const key of [...files.keys()].sort()) {
      if (key.startsWith(prefix)) yield { key, sizeBytes: files.get(key)!.length, etag };
    }
  }

  private async file(key: string): Promise<{ bytes: Uint8Array; etag: string }> {
    checkKey(key, this.url);
    const { files, etag } = await this.load();
    const bytes = files.get(key);
    if (bytes) return { bytes, etag };
    throw new DabarexError(
      'object_missing',
      `${this.url} has no file ${key}. Check the path and the version.`,
      { url: this.url, key },
    );
  }

  private load(): Promise<{ files: ReadonlyMap<string, Uint8Array>; etag: string }> {
    this.loading ??= (async () => {
      const source = await fetchSource({ url: this.url }, this.options);
      const files = new Map<string, Uint8Array>();
      for await (const { path, bytes } of source.files) files.set(path, bytes);
      return { files, etag: source.integrity };
    })().catch((error) => {
      this.loading = undefined;
      throw error;
    });
    return this.loading;
  }
}
