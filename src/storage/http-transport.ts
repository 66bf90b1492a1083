/**
 * Requests to a plain web server: GET with ranges, HEAD. A server without ranges sends the whole object, of which what is wanted is kept.
 * Limit: nothing is decompressed; a server that insists on compressing is refused, for its lengths and ranges count other bytes.
 */
import { Readable } from 'node:stream';
import type { ByteRange, ObjectStat } from './object-store.ts';
import { kindOfStatus, networkFailure, retryAfterMs, StoreFailure } from './store-failure.ts';
import { type ObjectBody, partsOf, placeOf, rangeHeader, type Transport } from './transport.ts';

export interface HttpOptions {
  /** sent with every request, for a token; never shown */
  readonly headers?: Readonly<Record<string, string>>;
}

export class HttpTransport implements Transport {
  readonly url: string;
  private readonly headers: Readonly<Record<string, string>>;

  /** @param url a folder's address without its last `/` */
  constructor(url: string, { headers = {} }: HttpOptions) {
    this.url = url;
    // Ranges and lengths must count the object's own bytes.
    this.headers = { ...headers, 'accept-encoding': 'identity' };
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectStat> {
    const answer = await this.request('HEAD', key, {}, signal);
    const { sizeBytes } = placeOf(
      { status: 200, contentLength: answer.headers.get('content-length') },
      undefined,
    );
    if (sizeBytes === undefined)
      throw new StoreFailure('refused', 'the server does not tell how long the object is');
    return { sizeBytes, etag: versionOf(answer) };
  }

  async get(
    key: string,
    range: ByteRange | undefined,
    etag: string | undefined,
    signal: AbortSignal,
  ): Promise<ObjectBody> {
    const headers: Record<string, string> = range ? { range: rangeHeader(range) } : {};
    // A strong version makes the server send the whole object where it has another, so that it is noticed.
    if (range && etag && /^"/.test(etag)) headers['if-range'] = etag;
    const answer = await this.request('GET', key, headers, signal);
    const body = answer.body ? Readable.fromWeb(answer.body as never) : Readable.from([]);
    try {
      const place = placeOf(
        {
          status: answer.status,
          contentLength: answer.headers.get('content-length'),
          contentRange: answer.headers.get('content-range'),
        },
        range,
      );
      return { ...place, etag: versionOf(answer), parts: partsOf(body, signal) };
    } catch (error) {
      body.destroy();
      throw error;
    }
  }

  failureOf(error: unknown): StoreFailure | undefined {
    const failure = networkFailure(error);
    if (failure || !(error instanceof TypeError && error.cause instanceof Error)) return failure;
    // Fetch refuses some requests by itself: ports that are not for it, redirects in a circle.
    return new StoreFailure('refused', error.cause.message, { cause: error });
  }

  private async request(
    method: string,
    key: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Response> {
    const path = key.split('/').map(encodeURIComponent).join('/');
    const answer = await fetch(`${this.url}/${path}`, {
      method,
      headers: { ...this.headers, ...headers },
      signal,
    });
    const encoding = answer.headers.get('content-encoding') ?? 'identity';
    if (answer.ok && encoding === 'identity') return answer;
    await answer.body?.cancel();
    if (answer.ok) throw new StoreFailure('refused', `the server sends the object compressed (${encoding})`);
    const wait = retryAfterMs(answer.headers.get('retry-after'), answer.headers.get('date'));
    const { status } = answer;
    throw new StoreFailure(kindOfStatus(status), `HTTP status ${status}`, { status, retryAfterMs: wait });
  }
}

/** What tells one version from another. */
function versionOf({ headers }: Response): string | undefined {
  return headers.get('etag') ?? headers.get('last-modified') ?? undefined;
}
