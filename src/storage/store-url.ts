/** The URLs of stores, taken apart: `file:PATH` or a path, `s3://bucket/prefix`, `http(s)://host/prefix`, `npm:name@1.2.3`. */
import { DabarexError } from '../base/index.ts';

export interface S3Url {
  readonly bucket: string;
  /** without `/` at either end; '' for the whole bucket */
  readonly prefix: string;
  /** as it may be shown */
  readonly url: string;
}

/** Amazon's rule, and the capitals and underscores of older buckets. */
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,253}[a-z0-9]$/i;

/** @throws store_url_invalid */
export function parseS3Url(url: string): S3Url {
  const [, bucket = '', path = ''] = /^s3:\/\/([^/?#]*)(?:\/([^?#]*))?$/i.exec(url) ?? [];
  if (bucket.includes('@')) {
    throw storeUrlInvalid('s3://...', 'credentials do not stand in it, they come from the environment');
  }
  if (!BUCKET.test(bucket))
    throw storeUrlInvalid(url, 'write s3://BUCKET/PREFIX, as keys are: nothing escaped, no ? or #');
  const prefix = path.replace(/^\/+|\/+$/g, '');
  if (/[\0\\]|(^|\/)\.{1,2}(\/|$)|\/\//.test(prefix))
    throw storeUrlInvalid(url, 'its prefix has an empty part, "." or ".."');
  return { bucket, prefix, url: `s3://${bucket}${prefix && `/${prefix}`}` };
}

/** The address of a folder on a web server, without its last `/`. @throws store_url_invalid */
export function parseHttpUrl(url: string): string {
  if (!/^https?:/i.test(url) || !URL.canParse(url)) throw storeUrlInvalid(url, 'write https://HOST/PREFIX');
  const { username, password, search, hash, origin, pathname } = new URL(url);
  // Logs and errors show the URL: a secret in it would be told to all who read them.
  if (username || password)
    throw storeUrlInvalid(`${origin}${pathname}`, 'a name or password before the host is not taken');
  if (search || hash)
    throw storeUrlInvalid(
      `${origin}${pathname}`,
      'a query or fragment cannot be kept when keys are added to it',
    );
  return origin + pathname.replace(/\/+$/, '');
}

export function storeUrlInvalid(url: string, hint: string): DabarexError {
  return new DabarexError('store_url_invalid', `The store URL "${url}" cannot be used: ${hint}.`, { url });
}
