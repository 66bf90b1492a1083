/**
 * A remote store that can be depended on: retries with backoff and budget, slowing down where it is throttled, an end to silence,
 * bodies that break off continued, versions that change noticed. What it sends goes through a {@link Transport}.
 */
import { type Clock, DabarexError, type Rng } from '../base/index.ts';
import {
  type ByteRange,
  checkKey,
  MemorySink,
  type ObjectEntry,
  type ObjectSink,
  type ObjectStat,
  type ObjectStore,
  type RequestOptions,
  shortObject,
} from './object-store.ts';
import { type Grant, PrefixLimiter } from './prefix-limiter.ts';
import { GaveUp, type Progressed, RetryBudget, type RetryPolicy, withRetries } from './retry.ts';
import { StallGuard } from './stall-guard.ts';
import { failureError, StoreFailure } from './store-failure.ts';
import type { Transport } from './transport.ts';

export interface RemoteLimits {
  readonly retry: RetryPolicy;
  /** retries the store may be sent at once; successes and time give them back */
  readonly retryBudget: number;
  /** a request is ended when no byte came for so long */
  readonly stallTimeoutMs: number;
  /** requests under way at once for keys of one folder */
  readonly maxRequests: number;
}

export interface RemoteParts extends RemoteLimits {
  readonly clock: Clock;
  readonly rng: Rng;
}

/** While a body is sent nothing comes back, so the stall timeout bounds the request as a whole: it gets this many times as long. */
const UPLOAD_PATIENCE = 4;

type ReadOptions = RequestOptions & { readonly range?: ByteRange; readonly etag?: string };

export class RemoteStore implements ObjectStore {
  readonly url: string;
  /** absent where the back end cannot list */
  readonly list?: (prefix: string, options?: RequestOptions) => AsyncIterable<ObjectEntry>;
  private readonly transport: Transport;
  private readonly parts: RemoteParts;
  private readonly budget: RetryBudget;
  private readonly limiter: PrefixLimiter;

  constructor(transport: Transport, parts: RemoteParts) {
    this.url = transport.url;
    this.transport = transport;
    this.parts = parts;
    this.budget = new RetryBudget(parts.clock, parts.retryBudget);
    this.limiter = new PrefixLimiter(parts.clock, parts.maxRequests);
    if (transport.listPage) this.list = (prefix, options) => this.pages(prefix, options);
  }

  async stat(key: string, { signal }: RequestOptions = {}): Promise<ObjectStat> {
    checkKey(key, this.url);
    return this.call(key, signal, (guard) => this.transport.head(key, guard.signal));
  }

  async read(key: string, options: RequestOptions & { range?: ByteRange } = {}): Promise<Uint8Array> {
    const sink = new MemorySink();
    await this.readInto(key, sink, options);
    const bytes = sink.bytes();
    const { range } = options;
    if (range && bytes.length !== range.end - range.start) {
      throw shortObject(this.urlOf(key), range, bytes.length);
    }
    return bytes;
  }

  async readInto(key: string, sink: ObjectSink, options: ReadOptions = {}): Promise<ObjectStat> {
    checkKey(key, this.url);
    const { range } = options;
    if (range && range.end <= range.start) return this.stat(key, options);
    const reading = new Reading(sink, options);
    await this.call(key, options.signal, (guard, progressed) =>
      reading.continueWith(
        (wanted, etag) => this.transport.get(key, wanted, etag, guard.signal),
        guard,
        progressed,
      ),
    );
    return reading.stat();
  }

  async write(key: string, bytes: Uint8Array, { signal }: RequestOptions = {}): Promise<void> {
    checkKey(key, this.url);
    if (!this.transport.put) {
      throw new DabarexError(
        'store_read_only',
        `${this.urlOf(key)} cannot be written: this kind of store is only read. Write to a folder or to s3:.`,
        { url: this.urlOf(key) },
      );
    }
    await this.transport.put(key, bytes, (request) =>
      this.call(key, signal, (guard) => request(guard.signal), UPLOAD_PATIENCE),
    );
  }

  private async *pages(prefix: string, { signal }: RequestOptions = {}): AsyncGenerator<ObjectEntry> {
    let after: string | undefined;
    do {
      const page = await this.call(prefix, signal, (guard) =>
        this.transport.listPage!(prefix, after, guard.signal),
      );
      yield* page.entries;
      after = page.next;
    } while (after);
  }

  private urlOf(key: string): string {
    return `${this.url.replace(/\/$/, '')}/${key}`;
  }

  /** Sends a request until it is answered or given up. */
  private async call<T>(
    key: string,
    signal: AbortSignal | undefined,
    request: (guard: StallGuard, progressed: Progressed) => Promise<T>,
    patience = 1,
  ): Promise<T> {
    const { clock, rng, retry: policy, stallTimeoutMs } = this.parts;
    try {
      return await withRetries(
        { policy, budget: this.budget, clock, rng },
        (progressed) =>
          this.limiter.run(key, signal, (grant) => {
            const guard = new StallGuard(clock, stallTimeoutMs * patience, signal);
            return this.send(grant, guard, () => request(guard, progressed));
          }),
        signal,
      );
    } catch (error) {
      throw error instanceof GaveUp ? failureError(error.failure, this.urlOf(key), error.tried) : error;
    }
  }

  private async send<T>(grant: Grant, guard: StallGuard, request: () => Promise<T>): Promise<T> {
    try {
      const result = await request();
      grant.succeeded();
      return result;
    } catch (error) {
      const why = guard.explain(error);
      guard.cancel();
      const failure = why instanceof StoreFailure ? why : (this.transport.failureOf(why) ?? why);
      if (failure instanceof StoreFailure && failure.kind === 'throttled') {
        grant.throttled(failure.detail.retryAfterMs);
      }
      throw failure;
    } finally {
      guard.stop();
    }
  }
}

type Get = (range: ByteRange | undefined, etag: string | undefined) => ReturnType<Transport['get']>;

/** The state of one read over its attempts: how far it came, and of which version. */
class Reading {
  private readonly sink: ObjectSink;
  private readonly range?: ByteRange;
  private etag?: string;
  private position: number;
  private opened = false;
  private sizeBytes?: number;
  private md5?: string;

  constructor(sink: ObjectSink, { range, etag }: ReadOptions) {
    this.sink = sink;
    this.range = range;
    this.etag = etag;
    this.position = range?.start ?? 0;
  }

  stat(): ObjectStat {
    return { sizeBytes: this.sizeBytes ?? this.position, etag: this.etag, md5: this.md5 };
  }

  async continueWith(get: Get, guard: StallGuard, progressed: Progressed): Promise<void> {
    const end = this.range?.end ?? Number.POSITIVE_INFINITY;
    const wanted = this.range || this.position > 0 ? { start: this.position, end } : undefined;
    const body = await get(wanted, this.etag);
    guard.touch();
    this.checkVersion(body.etag, body.sizeBytes);
    if (!this.opened) {
      this.opened = true;
      this.md5 = body.md5;
      const { sizeBytes = -1, etag, md5 } = body;
      await this.sink.opened?.({ sizeBytes, etag, md5 }, body.isRanged);
    }
    const stopAt = Math.min(end, body.sizeBytes ?? Number.POSITIVE_INFINITY);
    let at = body.start;
    for await (const part of body.parts) {
      guard.touch();
      const from = Math.max(0, this.position - at);
      const to = Math.min(part.length, stopAt - at);
      if (to > from) {
        await this.sink.write(part.subarray(from, to), this.position);
        this.position += to - from;
        progressed();
        guard.touch();
      }
      at += part.length;
      if (this.position >= stopAt) break;
    }
    if (this.position < stopAt && Number.isFinite(stopAt) && body.sizeBytes !== undefined) {
      throw new StoreFailure('broken_body', `the body broke off at byte ${this.position} of ${stopAt}`);
    }
  }

  /** Bytes of two versions must never be joined. */
  private checkVersion(etag: string | undefined, sizeBytes: number | undefined): void {
    const isOther = this.etag !== undefined && etag !== undefined && etag !== this.etag;
    const isOtherSize =
      this.sizeBytes !== undefined && sizeBytes !== undefined && sizeBytes !== this.sizeBytes;
    if (isOther || isOtherSize) {
      const was = isOther ? this.etag : `${this.sizeBytes} bytes`;
      const is = isOther ? etag : `${sizeBytes} bytes`;
      throw new StoreFailure('changed', `the object was replaced while it was read (${was}, now ${is})`);
    }
    this.etag ??= etag;
    this.sizeBytes ??= sizeBytes;
  }
}
