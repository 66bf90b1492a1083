/** What a store of objects is, whatever stands behind it: a folder, a bucket, a web server, a package. */
import { DabarexError } from '../base/index.ts';

export interface ObjectStat {
  readonly sizeBytes: number;
  /** changes when the content does; undefined where the store does not tell */
  readonly etag?: string;
  /** hexadecimal, where the store says it */
  readonly md5?: string;
}

/** Bytes `start` to `end` of an object; `end` is not among them. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
}

/** Where an object's bytes go as they come, in order. */
export interface ObjectSink {
  /**
   * Called once, before the first bytes. `stat.sizeBytes` is that of the whole object, -1 where the server does not tell;
   * `isRanged` is false where it sends the whole object whatever is asked.
   */
  opened?(stat: ObjectStat, isRanged: boolean): void | Promise<void>;
  /** `bytes` are only valid until the returned promise is settled */
  write(bytes: Uint8Array, position: number): void | Promise<void>;
}

/** One entry of a listing. */
export interface ObjectEntry extends ObjectStat {
  readonly key: string;
}

/**
 * Objects by key below one root. Keys are relative, `/` between their parts. Every method retries what may be retried and throws a coded
 * error in the end: object_missing, store_unreachable, store_refused, object_key_invalid, or the signal's reason.
 */
export interface ObjectStore {
  /** the root, without credentials */
  readonly url: string;
  stat(key: string, options?: RequestOptions): Promise<ObjectStat>;
  /** The object, or the range of it. @throws object_corrupt where it has no such range */
  read(key: string, options?: RequestOptions & { readonly range?: ByteRange }): Promise<Uint8Array>;
  /**
   * Streams the object, or as much of the range as it has, into `sink`; what breaks off goes on where it broke off.
   * @param options.etag the version wanted. @throws object_changed where there is another
   */
  readInto(
    key: string,
    sink: ObjectSink,
    options?: RequestOptions & { readonly range?: ByteRange; readonly etag?: string },
  ): Promise<ObjectStat>;
  /** Whole or not at all. @throws store_read_only */
  write(key: string, bytes: Uint8Array, options?: RequestOptions): Promise<void>;
  /** The objects whose key begins with `prefix`, sorted by key. For tools and preparation: streaming knows its keys from an index. */
  list?(prefix: string, options?: RequestOptions): AsyncIterable<ObjectEntry>;
  /** The path of the object where the store is a local folder. */
  localPath?(key: string): string;
}

const MAX_KEY_BYTES = 1024;

/** @throws object_key_invalid unless `key` names something below the root of a store and of a folder */
export function checkKey(key: string, url: string): void {
  const isBad =
    key.length === 0 ||
    Buffer.byteLength(key) > MAX_KEY_BYTES ||
    /[\0\\]/.test(key) ||
    key.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (!isBad) return;
  const shown = JSON.stringify(key.slice(0, 100));
  throw new DabarexError(
    'object_key_invalid',
    `${url}: ${shown} names no object: a key is a relative path of at most ${MAX_KEY_BYTES} bytes, without empty parts, "." or "..", "\\" or NUL. Correct the index or recipe that names it.`,
    { url, key: key.slice(0, 100) },
  );
}

/** The bytes that were asked for must all be there. */
export function shortObject(url: string, range: ByteRange, found: number): DabarexError {
  return new DabarexError(
    'object_corrupt',
    `${url} has no bytes ${range.start} to ${range.end}: only ${found} of them came. The object is shorter than its index says, or the range is wrong: upload it again.`,
    { url, start: range.start, end: range.end, found },
  );
}

/** Collects an object in memory. */
export class MemorySink implements ObjectSink {
  private readonly parts: Uint8Array[] = [];
  private length = 0;

  write(bytes: Uint8Array): void {
    this.parts.push(Uint8Array.from(bytes));
    this.length += bytes.length;
  }

  bytes(): Uint8Array {
    if (this.parts.length === 1) return this.parts[0]!;
    const whole = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
