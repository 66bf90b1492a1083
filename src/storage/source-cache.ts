/**
 * Fetched bytes, kept by what they are: `CACHE/sources/sha512/HEX`, and `CACHE/sources/urls/SHA256-OF-URL.json` for what
 * an unpinned URL last gave. Written whole or not at all, verified on every read; a damaged entry is dropped.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/index.ts';
import { algorithmOf, integrityOf } from './integrity.ts';

export class SourceCache {
  private readonly folder: string;

  constructor(cacheDir: string) {
    this.folder = join(cacheDir, 'sources');
  }

  /** The bytes with this hash, or undefined where they are absent or damaged. */
  read(integrity: string): Uint8Array | undefined {
    const path = this.pathOf(integrity);
    if (!existsSync(path)) return undefined;
    const bytes = readFileSync(path);
    if (integrityOf(bytes, algorithmOf(integrity)) === integrity) return bytes;
    rmSync(path, { force: true });
    return undefined;
  }

  /** Whether bytes are kept under this hash; they may be damaged. */
  has(integrity: string): boolean {
    return existsSync(this.pathOf(integrity));
  }

  /** The hash `url` gave when it was last fetched. */
  lastIntegrityOf(url: string): string | undefined {
    try {
      const entry: unknown = JSON.parse(readFileSync(this.urlPath(url), 'utf8'));
      const integrity = (entry as { integrity?: unknown }).integrity;
      return typeof integrity === 'string' && algorithmOf(integrity) ? integrity : undefined;
    } catch {
      return undefined;
    }
  }

  /** Keeps `bytes` under `integrity`, and remembers that `url` gave them. */
  write(url: string, integrity: string, bytes: Uint8Array): void {
    writeFileAtomic(this.pathOf(integrity), bytes);
    writeFileAtomic(this.urlPath(url), JSON.stringify({ url, integrity, sizeBytes: bytes.length }));
  }

  private pathOf(integrity: string): string {
    const hex = Buffer.from(integrity.slice(integrity.indexOf('-') + 1), 'base64').toString('hex');
    return join(this.folder, algorithmOf(integrity), hex);
  }

  private urlPath(url: string): string {
    return join(this.folder, 'urls', `${createHash('sha256').update(url).digest('hex')}.json`);
  }
}
