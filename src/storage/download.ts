/** Bytes from the npm registry (pacote, with the user's registry and tokens when passed) and over http(s). */
import { DabarexError, type OnProgress } from '../base/index.ts';
import { hashMismatch } from './integrity.ts';
import { type SourceUrl, shownUrl } from './source-url.ts';

/** Passed to pacote as they are: `registry`, `cache`, `//host/:_authToken`, `fetchRetries` ... */
export type NpmOptions = Readonly<Record<string, unknown>>;

export interface DownloadOptions {
  readonly npm?: NpmOptions;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

const RETRIES = { fetchRetries: 2, fetchRetryMintimeout: 1000, fetchRetryMaxtimeout: 5000 };

/**
 * The bytes of an npm tarball or of one file over http(s), counted to `onProgress`.
 * A tarball is checked against the hash the registry states; the caller checks its own pin.
 * @throws source_fetch_failed, source_hash_mismatch
 */
export async function download(
  source: Extract<SourceUrl, { kind: 'npm' | 'http' }>,
  options: DownloadOptions,
): Promise<Uint8Array> {
  try {
    options.signal?.throwIfAborted();
    return source.kind === 'npm'
      ? await downloadTarball(source, options)
      : await downloadFile(source.address, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw explained(error, source.url);
  }
}

async function downloadTarball(
  source: Extract<SourceUrl, { kind: 'npm' }>,
  { npm, onProgress, signal }: DownloadOptions,
): Promise<Uint8Array> {
  const label = `download ${source.name}`;
  const { default: pacote } = await import('pacote');
  return await pacote.tarball.stream(
    `${source.name}@${source.version}`,
    async (stream) => {
      const parts: Uint8Array[] = [];
      let done = 0;
      for await (const part of stream as AsyncIterable<Uint8Array>) {
        signal?.throwIfAborted();
        parts.push(part);
        done += part.length;
        onProgress?.({ stage: label, done, total: 0, unit: 'bytes' });
      }
      return Buffer.concat(parts, done);
    },
    { ...RETRIES, ...npm },
  );
}

async function downloadFile(address: string, { onProgress, signal }: DownloadOptions): Promise<Uint8Array> {
  const response = await fetch(address, { signal, redirect: 'follow' });
  if (!response.ok || !response.body) throw new Error(`HTTP status ${response.status}`);
  const total = Number(response.headers.get('content-length') ?? 0);
  const parts: Uint8Array[] = [];
  let done = 0;
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    parts.push(part);
    done += part.length;
    onProgress?.({ stage: 'download', done, total, unit: 'bytes' });
  }
  return Buffer.concat(parts, done);
}

function explained(error: unknown, url: string): DabarexError {
  if (error instanceof DabarexError) return error;
  const { code, message, cause } = error as Error & { code?: string };
  if (code === 'EINTEGRITY') {
    const { expected, found } = error as { expected?: unknown; found?: unknown };
    return hashMismatch(url, String(expected), String(found));
  }
  const why = withoutPasswords(
    cause instanceof Error && cause.message ? `${message}: ${cause.message}` : message,
  );
  const shown = shownUrl(url);
  return new DabarexError(
    'source_fetch_failed',
    `${shown} could not be fetched: ${code ? `${code}: ` : ''}${why.split('\n')[0]}. ` +
      'It is not in the cache either. Check the network, the proxy and the registry (`npm config get registry`), then run again.',
    { url: shown, reason: code ?? why },
    { cause: shownCause(error as Error) },
  );
}

/** Addresses of registries and proxies may hold a name and password, which are shown to no one. */
function withoutPasswords(text: string): string {
  return text.replace(/:\/\/[^/\s]*@/g, '://...@');
}

/** The error as `--debug` may show it. */
function shownCause({ name, message, stack }: Error): Error {
  const shown = new Error(withoutPasswords(message));
  shown.name = name;
  shown.stack = stack && withoutPasswords(stack);
  return shown;
}
