/** The URLs that name sources of text: `npm:name@version#glob`, `file:path#glob` or a plain path, `https://host/file`, `s3://bucket/prefix#glob`. */
import { DabarexError } from '../base/index.ts';
import { parseS3Url } from './store-url.ts';

export type SourceUrl =
  | {
      readonly kind: 'npm';
      readonly name: string;
      readonly version: string;
      readonly glob?: string;
      readonly url: string;
    }
  | { readonly kind: 'file'; readonly path: string; readonly glob?: string; readonly url: string }
  | { readonly kind: 's3'; readonly root: string; readonly glob?: string; readonly url: string }
  | { readonly kind: 'http'; readonly address: string; readonly glob?: string; readonly url: string };

const NPM = /^((?:@[a-z0-9~_.-]+\/)?[a-z0-9~_.-]+)@(\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?)$/i;

/**
 * Splits a source URL into its parts. An npm version must be exact, so that the same recipe reads the same text later.
 * @throws source_url_invalid, store_url_invalid
 */
export function parseSourceUrl(url: string): SourceUrl {
  const hash = url.indexOf('#');
  const place = hash < 0 ? url : url.slice(0, hash);
  const glob = hash < 0 || hash === url.length - 1 ? undefined : url.slice(hash + 1);
  if (place.startsWith('npm:')) {
    const [, name, version] = NPM.exec(place.slice(4)) ?? [];
    if (!name || !version) throw invalid(url, 'write npm:NAME@1.2.3#GLOB with an exact version');
    return { kind: 'npm', name, version, glob, url };
  }
  if (/^s3:/i.test(place)) return { kind: 's3', root: parseS3Url(place).url, glob, url };
  if (/^https?:\/\//i.test(place)) {
    if (!URL.canParse(place)) throw invalid(url, 'write https://HOST/PATH');
    const { username, password } = new URL(place);
    // Recipes, logs and errors show the URL: a password in it would be told to all who read them.
    if (username || password) {
      throw invalid(
        place.replace(/\/\/.*@/, '//...@'),
        'a name or password before the host is not taken; serve the file without',
      );
    }
    return { kind: 'http', address: place, glob, url };
  }
  if (place.startsWith('file:')) return fileUrl(place.slice(5), glob, url);
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(place)?.[1];
  if (scheme) throw invalid(url, `the scheme "${scheme}:" is not known; use npm:, file:, s3: or https:`);
  return fileUrl(place, glob, url);
}

/** A source's URL for messages and logs: the query of an address, which may be a key to it, left out. */
export function shownUrl(url: string): string {
  return /^https?:/i.test(url) ? url.replace(/[?][^#]*/, '?...') : url;
}

function fileUrl(path: string, glob: string | undefined, url: string): SourceUrl {
  const plain = path.startsWith('//') ? decodedPath(path) : path;
  if (!plain || plain.includes('\0')) throw invalid(url, 'write file:PATH, with % as %25 after file://');
  return { kind: 'file', path: plain, glob, url };
}

/** The path of a `file://` URL; undefined where it is none. */
function decodedPath(path: string): string | undefined {
  try {
    return decodeURIComponent(new URL(`file:${path}`).pathname);
  } catch {
    return undefined;
  }
}

function invalid(url: string, hint: string): DabarexError {
  return new DabarexError('source_url_invalid', `The source URL "${url}" cannot be read: ${hint}.`, { url });
}
