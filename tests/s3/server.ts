/**
 * An S3-compatible server for tests: signatures verified, ranges, conditions, uploads in parts, listings in pages, checksums kept;
 * faults on demand; every request counted. In memory, one process, path style.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultRule, Faults } from './faults.ts';
import { CHECKSUMS, joined, type StoredObject, stored, type Upload, wrongChecksum } from './objects.ts';
import { decodeChunked, header, type ServerKeys, signatureProblem } from './sigv4.ts';
import {
  completedDocument,
  createdDocument,
  errorDocument,
  listingDocument,
  partsOfCompletion,
} from './xml.ts';

const KEYS: ServerKeys = { accessKeyId: 'TESTKEY', secretAccessKey: 'test/secret+key' };
const STATUS: Readonly<Record<string, number>> = {
  BadDigest: 400,
  InternalError: 500,
  InvalidPart: 400,
  InvalidRange: 416,
  MethodNotAllowed: 405,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  PreconditionFailed: 412,
  SlowDown: 503,
};

/** One request as it came. */
export interface SeenRequest {
  readonly method: string;
  readonly key: string;
  readonly range: string | undefined;
  readonly atMs: number;
  status: number;
}

export interface S3ServerOptions {
  readonly buckets?: readonly string[];
  readonly maxKeys?: number;
  /** what the server's clock is ahead */
  readonly skewMs?: number;
}

class S3Error extends Error {}

export class S3Server {
  readonly keys = KEYS;
  readonly faults = new Faults();
  readonly requests: SeenRequest[] = [];
  private readonly buckets = new Map<string, Map<string, StoredObject>>();
  private readonly uploads = new Map<string, Upload>();
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private readonly options: S3ServerOptions;
  private answers = 0;

  private constructor(options: S3ServerOptions) {
    this.options = options;
    for (const name of options.buckets ?? ['data']) this.buckets.set(name, new Map());
    this.server = createServer((request, response) => void this.serve(request, response));
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  static async start(options: S3ServerOptions = {}): Promise<S3Server> {
    const server = new S3Server(options);
    await new Promise<void>((done) => server.server.listen(0, '127.0.0.1', done));
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** For {@link openStore}. */
  get s3() {
    return { endpoint: this.endpoint, credentials: this.keys };
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((done) => this.server.close(done));
  }

  /** Puts an object there without a request. */
  put(key: string, content: Uint8Array | string, bucket = 'data'): StoredObject {
    const object = stored(Buffer.from(content as Uint8Array), new Map(), this.epochMs());
    this.buckets.get(bucket)!.set(key, object);
    return object;
  }

  object(key: string, bucket = 'data'): StoredObject | undefined {
    return this.buckets.get(bucket)?.get(key);
  }

  remove(key: string, bucket = 'data'): void {
    this.buckets.get(bucket)!.delete(key);
  }

  /** Requests with this method and key, whatever became of them. */
  count(method: string, key: string | RegExp): number {
    const matches = (each: string) => (typeof key === 'string' ? each === key : key.test(each));
    return this.requests.filter((each) => each.method === method && matches(each.key)).length;
  }

  /** Uploads in parts that were neither completed nor dropped. */
  get openUploads(): number {
    return this.uploads.size;
  }

  private epochMs(): number {
    return Date.now() + (this.options.skewMs ?? 0);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, 'http://server');
    const [, bucket = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    const method = request.method!;
    const seen: SeenRequest = {
      method,
      key,
      range: request.headers.range,
      atMs: performance.now(),
      status: 0,
    };
    this.requests.push(seen);
    response.setHeader('x-amz-request-id', String(this.requests.length));
    response.setHeader('date', new Date(this.epochMs()).toUTCString());
    try {
      const body = await bodyOf(request);
      const fault = this.faults.next(method, key);
      const isThrottled = this.faults.isThrottled(key, seen.atMs);
      if (fault?.retryAfterSeconds !== undefined)
        response.setHeader('retry-after', String(fault.retryAfterSeconds));
      if (fault?.kind === 'reset') request.socket.destroy();
      else if (fault?.kind === 'error') throw new S3Error('InternalError');
      else if (fault?.kind === 'slowdown' || isThrottled) throw new S3Error('SlowDown');
      else await this.answer(request, response, { url, bucket, key, body, fault });
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      const code = error.message;
      const text = method === 'HEAD' ? '' : errorDocument(code, key);
      response.writeHead(STATUS[code] ?? 403, { 'content-type': 'application/xml' }).end(text);
    } finally {
      seen.status = response.statusCode;
    }
  }

  private async answer(request: IncomingMessage, response: ServerResponse, call: S3Call): Promise<void> {
    const problem = signatureProblem(request, call.body, this.keys, this.epochMs());
    if (problem) throw new S3Error(problem);
    const objects = this.buckets.get(call.bucket);
    const query = call.url.searchParams;
    const { method } = request;
    if (method === 'PUT' && call.key === '') {
      this.buckets.set(call.bucket, objects ?? new Map());
      return void response.writeHead(200).end();
    }
    if (!objects) throw new S3Error('NoSuchBucket');
    if (call.key === '' && method === 'GET') return this.list(response, call, objects);
    if (method === 'GET' || method === 'HEAD') return this.get(request, response, call, objects);
    if (method === 'POST' && query.has('uploads')) return this.createUpload(response, call);
    if (method === 'POST' && query.has('uploadId')) return this.completeUpload(response, call, objects);
    if (method === 'PUT') return this.store(request, response, call, objects);
    if (method !== 'DELETE') throw new S3Error('MethodNotAllowed');
    if (query.has('uploadId')) this.uploads.delete(query.get('uploadId')!);
    else objects.delete(call.key);
    response.writeHead(204).end();
  }

  private async get(
    request: IncomingMessage,
    response: ServerResponse,
    { key, fault }: S3Call,
    objects: Map<string, StoredObject>,
  ): Promise<void> {
    const object = objects.get(key);
    if (!object) throw new S3Error('NoSuchKey');
    const { bytes, etag, checksums, modifiedMs } = object;
    checkConditions(request, object);
    if (request.headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end();
    const shown = fault?.kind === 'wrong-etag' ? `"other-${this.answers++}"` : etag;
    response.setHeader('etag', shown);
    response.setHeader('accept-ranges', 'bytes');
    response.setHeader('last-modified', new Date(modifiedMs).toUTCString());
    if (header(request, 'x-amz-checksum-mode') === 'ENABLED') {
      for (const [name, value] of checksums) response.setHeader(name, value);
    }
    const range = rangeOf(request.headers.range, bytes.length);
    const { start, end } = range ?? { start: 0, end: bytes.length };
    if (range) {
      const shift = fault?.kind === 'wrong-range' ? 1 : 0;
      response.statusCode = 206;
      response.setHeader('content-range', `bytes ${start + shift}-${end - 1}/${bytes.length}`);
    }
    response.setHeader('content-length', end - start);
    if (request.method === 'HEAD') return void response.end();
    await sendBody(response, bytes.subarray(start, end), fault);
  }

  private async store(
    request: IncomingMessage,
    response: ServerResponse,
    { url, key, body }: S3Call,
    objects: Map<string, StoredObject>,
  ): Promise<void> {
    const isChunked = /aws-chunked/.test(header(request, 'content-encoding'));
    const { bytes, trailers } = isChunked ? decodeChunked(body) : { bytes: body, trailers: new Map() };
    const values = CHECKSUMS.map((name) => [name, trailers.get(name) ?? header(request, name)] as const);
    const checksums = new Map(values.filter(([, value]) => value));
    if (wrongChecksum(bytes, checksums)) throw new S3Error('BadDigest');
    const uploadId = url.searchParams.get('uploadId');
    const object = stored(bytes, checksums, this.epochMs());
    if (uploadId === null) {
      checkConditions(request, objects.get(key));
      objects.set(key, object);
    } else {
      const upload = this.uploads.get(uploadId);
      if (!upload) throw new S3Error('NoSuchUpload');
      upload.parts.set(Number(url.searchParams.get('partNumber')), object);
    }
    response.writeHead(200, { etag: object.etag }).end();
  }

  private createUpload(response: ServerResponse, { bucket, key }: S3Call): void {
    const uploadId = `upload-${this.requests.length}`;
    this.uploads.set(uploadId, { key, parts: new Map() });
    response.writeHead(200).end(createdDocument(bucket, key, uploadId));
  }

  private completeUpload(
    response: ServerResponse,
    { url, bucket, key, body }: S3Call,
    objects: Map<string, StoredObject>,
  ): void {
    const uploadId = url.searchParams.get('uploadId')!;
    const upload = this.uploads.get(uploadId);
    if (upload?.key !== key) throw new S3Error('NoSuchUpload');
    const parts = partsOfCompletion(body.toString()).map(({ number, etag }) => {
      const part = upload.parts.get(number);
      if (part?.etag !== etag) throw new S3Error('InvalidPart');
      return part;
    });
    const object = joined(parts, this.epochMs());
    objects.set(key, object);
    this.uploads.delete(uploadId);
    response.writeHead(200).end(completedDocument(bucket, key, object.etag));
  }

  private list(response: ServerResponse, { url, bucket }: S3Call, objects: Map<string, StoredObject>): void {
    const query = url.searchParams;
    const prefix = query.get('prefix') ?? '';
    const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
    const maxKeys = Math.min(Number(query.get('max-keys') ?? 1000), this.options.maxKeys ?? 1000);
    const matching = [...objects].filter(([key]) => key.startsWith(prefix) && key > after);
    const entries = matching.sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, maxKeys);
    const next = matching.length > entries.length ? entries.at(-1)![0] : undefined;
    response.writeHead(200).end(listingDocument({ bucket, prefix, maxKeys, entries, next }));
  }
}

interface S3Call {
  readonly url: URL;
  readonly bucket: string;
  readonly key: string;
  readonly body: Buffer;
  readonly fault: FaultRule | undefined;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function checkConditions(request: IncomingMessage, object: StoredObject | undefined): void {
  const { 'if-match': match, 'if-none-match': noneMatch } = request.headers;
  const isWrong = match !== undefined && match !== '*' && match !== object?.etag;
  const isThere = request.method === 'PUT' && noneMatch === '*' && object !== undefined;
  if (isWrong || isThere) throw new S3Error('PreconditionFailed');
}

function rangeOf(text: string | undefined, length: number): { start: number; end: number } | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(text ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') return { start: Math.max(0, length - Number(last)), end: length };
  const start = Number(first);
  if (start >= length) throw new S3Error('InvalidRange');
  return { start, end: last === '' ? length : Math.min(Number(last) + 1, length) };
}

/** The body, or what the fault leaves of it. */
async function sendBody(
  response: ServerResponse,
  bytes: Buffer,
  fault: FaultRule | undefined,
): Promise<void> {
  const kept = fault?.bytes ?? Math.floor(bytes.length / 2);
  switch (fault?.kind) {
    case 'truncate':
      await new Promise((sent) => response.write(bytes.subarray(0, kept), sent));
      response.socket?.destroy();
      return;
    case 'stall':
      response.write(bytes.subarray(0, kept));
      return;
    case 'slow':
      for (let at = 0; at < bytes.length && !response.destroyed; at += kept) {
        response.write(bytes.subarray(at, at + kept));
        await sleep(5);
      }
      response.end();
      return;
    case 'corrupt': {
      const wrong = Buffer.from(bytes);
      if (wrong.length > 0) wrong[kept % wrong.length]! ^= 1;
      response.end(wrong);
      return;
    }
    default:
      response.end(bytes);
  }
}
