/** Subresource-integrity strings (`sha512-BASE64`, `sha256-BASE64`), the form npm lockfiles use. */
import { createHash } from 'node:crypto';
import { DabarexError } from '../base/index.ts';
import { shownUrl } from './source-url.ts';

/** `sha512-BASE64` of `bytes`; `algorithm` is sha512 unless told. */
export function integrityOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha512' = 'sha512'): string {
  return `${algorithm}-${createHash(algorithm).update(bytes).digest('base64')}`;
}

/** @throws source_url_invalid unless `integrity` is one sha256 or sha512 string of the right length */
export function algorithmOf(integrity: string): 'sha256' | 'sha512' {
  const [, algorithm, digest] = /^(sha256|sha512)-([A-Za-z0-9+/]+={0,2})$/.exec(integrity) ?? [];
  const length = algorithm === 'sha256' ? 32 : 64;
  if (!algorithm || Buffer.from(digest!, 'base64').length !== length) {
    throw new DabarexError(
      'source_url_invalid',
      `The integrity "${integrity}" is not of the form sha512-BASE64 or sha256-BASE64. Copy it from \`npm view NAME@VERSION dist.integrity\`.`,
      { integrity },
    );
  }
  return algorithm as 'sha256' | 'sha512';
}

/**
 * Checks `bytes` against a pinned integrity.
 * @throws source_hash_mismatch with the expected and the found hash
 */
export function verifyIntegrity(bytes: Uint8Array, integrity: string, url: string): void {
  const found = integrityOf(bytes, algorithmOf(integrity));
  if (found !== integrity) throw hashMismatch(url, integrity, found);
}

export function hashMismatch(url: string, expected: string, found: string): DabarexError {
  const shown = shownUrl(url);
  return new DabarexError(
    'source_hash_mismatch',
    `${shown}: the content is not the pinned one: expected ${expected}, found ${found}. ` +
      'Nothing was kept. If the new content is wanted, put the found hash into the recipe; otherwise check the registry or mirror.',
    { url: shown, expected, found },
  );
}
