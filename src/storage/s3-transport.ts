/**
 * Requests to S3 and what speaks its language, through the AWS SDK: signatures, credentials, error documents. The SDK's own retries
 * are off, so that ours are all there are; its checks of response bodies are off, since ranges carry none and files are checked whole.
 */
import { createRequire } from 'node:module';
import type { Readable } from 'node:stream';
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import type { ByteRange, ObjectStat } from './object-store.ts';
import { kindOfStatus, networkFailure, retryAfterMs, StoreFailure } from './store-failure.ts';
import { parseHttpUrl, type S3Url } from './store-url.ts';
import {
  type Call,
  type ListPage,
  type ObjectBody,
  partsOf,
  placeOf,
  rangeHeader,
  type Transport,
} from './transport.ts';

export interface S3Options {
  /** of a store that is not Amazon's: `http://127.0.0.1:9000` */
  readonly endpoint?: string;
  readonly region?: string;
  /** the bucket in the path instead of the host name; true unless told where there is an endpoint */
  readonly pathStyle?: boolean;
  /** keys; `anonymous` signs nothing; without, the SDK looks where AWS tools look (environment, profile, machine) */
  readonly credentials?: S3Keys | 'anonymous';
  /** of the shared AWS files */
  readonly profile?: string;
  /** above this an upload goes in parts of it, each sent again for itself; 16 MiB unless told, S3 takes none below 5 MiB */
  readonly uploadPartBytes?: number;
}

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

const CONNECT_TIMEOUT_MS = 10_000;
const PART_BYTES = 16 * 2 ** 20;
const MAX_PARTS = 10_000;
const PARALLEL_PARTS = 4;

export class S3Transport implements Transport {
  readonly url: string;
  private readonly sdk = awsSdk();
  private readonly client: S3Client;
  private readonly bucket: string;
  private readonly prefix: string;
  private readonly partBytes: number;

  constructor({ bucket, prefix, url }: S3Url, options: S3Options, maxSockets: number) {
    this.url = url;
    this.bucket = bucket;
    this.prefix = prefix && `${prefix}/`;
    this.partBytes = options.uploadPartBytes ?? PART_BYTES;
    this.client = new this.sdk.S3Client(clientConfig(options, maxSockets));
  }

  async head(key: string, abortSignal: AbortSignal): Promise<ObjectStat> {
    const answer = await this.client.send(new this.sdk.HeadObjectCommand(this.named(key)), { abortSignal });
    return { sizeBytes: answer.ContentLength ?? 0, etag: answer.ETag, md5: md5Of(answer) };
  }

  async get(
    key: string,
    range: ByteRange | undefined,
    etag: string | undefined,
    abortSignal: AbortSignal,
  ): Promise<ObjectBody> {
    const Range = range && rangeHeader(range);
    const command = new this.sdk.GetObjectCommand({ ...this.named(key), Range, IfMatch: etag });
    const answer = await this.client.send(command, { abortSignal });
    const { ContentLength: contentLength, ContentRange: contentRange, ETag } = answer;
    const body = answer.Body as Readable;
    try {
      const place = placeOf({ status: contentRange ? 206 : 200, contentLength, contentRange }, range);
      return { ...place, etag: ETag, md5: md5Of(answer), parts: partsOf(body, abortSignal) };
    } catch (error) {
      body.destroy();
      throw error;
    }
  }

  async put(key: string, bytes: Uint8Array, call: Call): Promise<void> {
    const named = this.named(key);
    if (bytes.length > this.partBytes) return this.putInParts(named, bytes, call);
    await call((abortSignal) =>
      this.client.send(new this.sdk.PutObjectCommand({ ...named, Body: bytes }), { abortSignal }),
    );
  }

  async listPage(prefix: string, after: string | undefined, abortSignal: AbortSignal): Promise<ListPage> {
    const command = new this.sdk.ListObjectsV2Command({
      Bucket: this.bucket,
      Prefix: this.prefix + prefix,
      ContinuationToken: after,
    });
    const page = await this.client.send(command, { abortSignal });
    const entries = (page.Contents ?? []).map(({ Key, Size, ETag }) => ({
      key: Key!.slice(this.prefix.length),
      sizeBytes: Size ?? 0,
      etag: ETag,
    }));
    return { entries, next: page.IsTruncated ? page.NextContinuationToken : undefined };
  }

  failureOf(error: unknown): StoreFailure | undefined {
    return s3Failure(error);
  }

  private named(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.bucket, Key: this.prefix + key };
  }

  /** The object appears when the upload is completed; what was begun is dropped where it cannot be. */
  private async putInParts(
    named: { Bucket: string; Key: string },
    bytes: Uint8Array,
    call: Call,
  ): Promise<void> {
    const created = await call((abortSignal) =>
      this.client.send(new this.sdk.CreateMultipartUploadCommand(named), { abortSignal }),
    );
    const upload = { ...named, UploadId: created.UploadId };
    const partBytes = Math.max(this.partBytes, Math.ceil(bytes.length / MAX_PARTS));
    const numParts = Math.ceil(bytes.length / partBytes);
    const parts: { ETag?: string; PartNumber: number }[] = new Array(numParts);
    let next = 0;
    const sendParts = async () => {
      for (let i = next++; i < numParts; i = next++) {
        const part = {
          ...upload,
          PartNumber: i + 1,
          Body: bytes.subarray(i * partBytes, (i + 1) * partBytes),
        };
        const sent = await call((abortSignal) =>
          this.client.send(new this.sdk.UploadPartCommand(part), { abortSignal }),
        );
        parts[i] = { ETag: sent.ETag, PartNumber: i + 1 };
      }
    };
    try {
      const lanes = Array.from({ length: Math.min(PARALLEL_PARTS, numParts) }, sendParts);
      await Promise.all(lanes).finally(() => {
        next = numParts;
        return Promise.allSettled(lanes);
      });
      const whole = { ...upload, MultipartUpload: { Parts: parts } };
      await call((abortSignal) =>
        this.client.send(new this.sdk.CompleteMultipartUploadCommand(whole), { abortSignal }),
      );
    } catch (error) {
      await this.client.send(new this.sdk.AbortMultipartUploadCommand(upload)).catch(() => undefined);
      throw error;
    }
  }
}

/** Loaded with the first store: it takes longer than most commands. */
function awsSdk(): typeof import('@aws-sdk/client-s3') {
  return createRequire(import.meta.url)('@aws-sdk/client-s3') as typeof import('@aws-sdk/client-s3');
}

function clientConfig(options: S3Options, maxSockets: number): S3ClientConfig {
  const { endpoint, region, pathStyle = endpoint !== undefined, credentials, profile } = options;
  if (endpoint !== undefined) parseHttpUrl(endpoint);
  const isAnonymous = credentials === 'anonymous';
  return {
    // Stores other than Amazon's mostly take any region; Amazon's needs the right one, which the SDK may know.
    region: region ?? (endpoint ? 'us-east-1' : undefined),
    endpoint,
    forcePathStyle: pathStyle,
    profile,
    maxAttempts: 1,
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      httpAgent: { keepAlive: true, maxSockets },
      httpsAgent: { keepAlive: true, maxSockets },
    },
    ...(isAnonymous && { signer: { sign: async (request) => request } }),
    credentials: isAnonymous ? { accessKeyId: 'anonymous', secretAccessKey: 'anonymous' } : credentials,
  };
}

/** The ETag of what was uploaded in one piece is its MD5, unless it is encrypted with keys of the user's. */
function md5Of(answer: {
  ETag?: string;
  ServerSideEncryption?: string;
  SSECustomerAlgorithm?: string;
}): string | undefined {
  const { ETag = '', ServerSideEncryption: encryption = 'AES256', SSECustomerAlgorithm } = answer;
  const isPlain = encryption === 'AES256' && SSECustomerAlgorithm === undefined;
  return isPlain ? /^"([0-9a-f]{32})"$/.exec(ETag)?.[1] : undefined;
}

interface SdkError extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
  readonly Code?: string;
}

const THROTTLED =
  /^(SlowDown|Throttl|TooManyRequests|RequestLimitExceeded|BandwidthLimitExceeded|ServiceUnavailable|RequestThrottled)/;
const TRANSIENT = /^(RequestTimeout|RequestTimeTooSkewed|InternalError|OperationAborted)/;
const NO_CREDENTIALS = /Credentials|Token(Provider|Refresh)|SSO/;

/** An error of the SDK as a failure; undefined where it is not of a request. */
export function s3Failure(error: unknown): StoreFailure | undefined {
  if (!(error instanceof Error)) return undefined;
  const { name, message, $metadata, $response, Code } = error as SdkError;
  const status = $metadata?.httpStatusCode ?? $response?.statusCode;
  if (status === undefined) {
    const isCredentials =
      NO_CREDENTIALS.test(name) || /^(Region is missing|Could not load credentials)/.test(message);
    if (isCredentials) return new StoreFailure('refused', firstSentence(message), { cause: error });
    return networkFailure(error);
  }
  const code = Code ?? name;
  const headers = $response?.headers ?? {};
  const detail = { status, cause: error, retryAfterMs: retryAfterMs(headers['retry-after'], headers.date) };
  // A success that cannot be understood was cut short or mangled on its way.
  if (status < 300)
    return new StoreFailure('broken_body', `the answer cannot be read: ${firstSentence(message)}`, detail);
  const reason = `${code}, HTTP status ${status}${explanation(status, code, headers)}`;
  if (THROTTLED.test(code)) return new StoreFailure('throttled', reason, detail);
  if (TRANSIENT.test(code)) return new StoreFailure('server_error', reason, detail);
  return new StoreFailure(code === 'NoSuchBucket' ? 'refused' : kindOfStatus(status), reason, detail);
}

function explanation(status: number, code: string, headers: Readonly<Record<string, string>>): string {
  const region = headers['x-amz-bucket-region'];
  if (status === 301 || status === 307 || /Redirect|AuthorizationHeaderMalformed/.test(code)) {
    return region ? `; the bucket is in the region ${region}` : '; the bucket is in another region';
  }
  return '';
}

/** Without what follows: messages of the SDK may run to several lines. */
function firstSentence(message: string): string {
  return message.split('\n')[0]!.slice(0, 200);
}
