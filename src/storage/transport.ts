/** One request to a remote store, sent once: what the back ends implement and {@link RemoteStore} makes dependable. */
import type { Readable } from 'node:stream';
import type { ByteRange, ObjectEntry, ObjectStat } from './object-store.ts';
import { StoreFailure } from './store-failure.ts';

/** The answer to a request for bytes, as the server describes it. */
export interface ObjectBody {
  /** position in the object of the first byte of `parts` */
  readonly start: number;
  /** of the whole object; undefined where the server does not tell */
  readonly sizeBytes?: number;
  readonly etag?: string;
  /** of the whole object */
  readonly md5?: string;
  /** false where a range was asked for and the whole object comes */
  readonly isRanged: boolean;
  readonly parts: AsyncIterable<Uint8Array>;
}

/** Every method throws {@link StoreFailure}, or something `failureOf` knows. */
export interface Transport {
  readonly url: string;
  head(key: string, signal: AbortSignal): Promise<ObjectStat>;
  /** @param range its end may lie beyond the object's, and may be Infinity */
  get(
    key: string,
    range: ByteRange | undefined,
    etag: string | undefined,
    signal: AbortSignal,
  ): Promise<ObjectBody>;
  put?(key: string, bytes: Uint8Array, call: Call): Promise<void>;
  listPage?(prefix: string, after: string | undefined, signal: AbortSignal): Promise<ListPage>;
  /** What an error of the client library means; undefined where it is none of a request. */
  failureOf(error: unknown): StoreFailure | undefined;
}

/** Sends one request with retries. What consists of several (an upload in parts) calls it for each. */
export type Call = <T>(request: (signal: AbortSignal) => Promise<T>) => Promise<T>;

export interface ListPage {
  readonly entries: readonly ObjectEntry[];
  /** the token of the next page */
  readonly next?: string;
}

/** The headers that say which bytes an answer holds. */
export interface RangeHeaders {
  readonly status: number;
  readonly contentLength?: string | number | null;
  readonly contentRange?: string | null;
}

/**
 * Which bytes an answer holds.
 * @throws StoreFailure broken_body where its headers contradict each other or what was asked for
 */
export function placeOf(
  headers: RangeHeaders,
  asked: ByteRange | undefined,
): { start: number; sizeBytes?: number; isRanged: boolean } {
  const length = lengthOf(headers.contentLength);
  if (headers.status !== 206) return { start: 0, sizeBytes: length, isRanged: asked === undefined };
  const range = headers.contentRange ?? '';
  const [, first, last, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(range.trim()) ?? [];
  if (!asked || first === undefined || last === undefined) {
    throw new StoreFailure(
      'broken_body',
      `the answer holds a part of the object, but says "${range}" of which`,
    );
  }
  const start = Number(first);
  const end = Number(last) + 1;
  const sizeBytes = total === '*' ? undefined : Number(total);
  const wantedEnd = Math.min(asked.end, sizeBytes ?? Number.POSITIVE_INFINITY);
  const isOther = start !== asked.start || end > wantedEnd || (sizeBytes !== undefined && end < wantedEnd);
  if (isOther || (length !== undefined && length !== end - start)) {
    const askedFor = `${asked.start}-${Number.isFinite(asked.end) ? asked.end - 1 : ''}`;
    throw new StoreFailure(
      'broken_body',
      `asked for bytes ${askedFor}, got "${range}" with ${length ?? '?'} bytes`,
    );
  }
  return { start, sizeBytes, isRanged: true };
}

function lengthOf(header: string | number | null | undefined): number | undefined {
  if (header === null || header === undefined || header === '') return undefined;
  const length = Number(header);
  if (Number.isSafeInteger(length) && length >= 0) return length;
  throw new StoreFailure('broken_body', `the answer says a length of "${String(header).slice(0, 40)}"`);
}

/** The value of a Range header. */
export function rangeHeader(range: ByteRange): string {
  return `bytes=${range.start}-${Number.isFinite(range.end) ? range.end - 1 : ''}`;
}

/** The parts of a stream, which is ended when the signal is aborted or its reader stops. */
export function partsOf(stream: Readable, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const onAbort = () => stream.destroy(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  // It may fail while its reader does something else, who is told when it comes back.
  stream.on('error', () => undefined);
  stream.on('close', () => signal.removeEventListener('abort', onAbort));
  return readParts(stream);
}

async function* readParts(stream: Readable): AsyncGenerator<Uint8Array> {
  try {
    for await (const part of stream) yield part as Uint8Array;
  } finally {
    stream.destroy();
  }
}
