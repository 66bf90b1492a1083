/**
 * Signature Version 4 as S3 checks it: header authorisation, signed payload hashes, `UNSIGNED-PAYLOAD`, and the aws-chunked bodies
 * with trailers, whose chunk signatures are not checked. @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export interface ServerKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const MAX_SKEW_MS = 15 * 60_000;

/** The S3 error code for a request that is not signed by `keys`; undefined where it is. */
export function signatureProblem(
  request: IncomingMessage,
  body: Buffer,
  keys: ServerKeys,
  epochMs: number,
): string | undefined {
  const authorization = request.headers.authorization ?? '';
  const [, credential = '', signedHeaders = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    ) ?? [];
  if (!credential) return 'AccessDenied';
  const [accessKeyId, day = '', region = '', service = '', end = ''] = credential.split('/');
  if (accessKeyId !== keys.accessKeyId) return 'InvalidAccessKeyId';
  const date = header(request, 'x-amz-date');
  if (Math.abs(parseDate(date) - epochMs) > MAX_SKEW_MS) return 'RequestTimeTooSkewed';
  const payload = header(request, 'x-amz-content-sha256');
  const isPlain = /^[0-9a-f]{64}$/.test(payload);
  if (isPlain && payload !== sha256(body)) return 'XAmzContentSHA256Mismatch';
  const canonical = [
    request.method,
    request.url!.split('?')[0],
    canonicalQuery(request.url!.split('?')[1] ?? ''),
    ...signedHeaders.split(';').map((name) => `${name}:${header(request, name).trim().replace(/ +/g, ' ')}`),
    '',
    signedHeaders,
    payload,
  ].join('\n');
  const scope = [day, region, service, end].join('/');
  const text = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
  const key = [region, service, end].reduce(hmac, hmac(`AWS4${keys.secretAccessKey}`, day));
  const expected = hmac(key, text);
  return timingSafeEqual(expected, Buffer.from(signature, 'hex')) ? undefined : 'SignatureDoesNotMatch';
}

/** The object's bytes out of an aws-chunked body, and its trailing headers. */
export function decodeChunked(body: Buffer): { bytes: Buffer; trailers: Map<string, string> } {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = body.indexOf('\r\n', at);
    const length = Number.parseInt(body.toString('latin1', at, end), 16);
    at = end + 2;
    if (!length) break;
    parts.push(body.subarray(at, at + length));
    at += length + 2;
  }
  const lines = body.toString('latin1', at).split('\r\n').filter(Boolean);
  const trailers = new Map(
    lines.map((line) => [line.split(':')[0]!, line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { bytes: Buffer.concat(parts), trailers };
}

export function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name] ?? '';
  return Array.isArray(value) ? value.join(',') : value;
}

function canonicalQuery(query: string): string {
  return query
    .split('&')
    .filter(Boolean)
    .map((pair) => {
      const [name, ...value] = pair.split('=');
      return `${strictly(name!)}=${strictly(value.join('='))}`;
    })
    .sort((a, b) => (a < b ? -1 : 1))
    .join('&');
}

function strictly(text: string): string {
  const encoded = (char: string) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(decodeURIComponent(text)).replace(/[!'()*]/g, encoded);
}

function parseDate(text: string): number {
  return Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
