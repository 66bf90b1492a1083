/** What the test server keeps, in memory: objects with their ETags and checksums, and uploads in parts. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export interface StoredObject {
  readonly bytes: Buffer;
  /** with its quotes */
  readonly etag: string;
  /** by header: `x-amz-checksum-sha256` */
  readonly checksums: ReadonlyMap<string, string>;
  readonly modifiedMs: number;
}

export interface Upload {
  readonly key: string;
  readonly parts: Map<number, StoredObject>;
}

export const CHECKSUMS = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'].map(
  (name) => `x-amz-checksum-${name}`,
);

export function stored(
  bytes: Buffer,
  checksums: ReadonlyMap<string, string>,
  modifiedMs: number,
): StoredObject {
  return { bytes, etag: `"${createHash('md5').update(bytes).digest('hex')}"`, checksums, modifiedMs };
}

/** Of parts in order: the digest of their digests and their number, as Amazon does it. */
export function joined(parts: readonly StoredObject[], modifiedMs: number): StoredObject {
  const hash = createHash('md5');
  for (const { etag } of parts) hash.update(Buffer.from(etag.replaceAll('"', ''), 'hex'));
  const etag = `"${hash.digest('hex')}-${parts.length}"`;
  return { bytes: Buffer.concat(parts.map(({ bytes }) => bytes)), etag, checksums: new Map(), modifiedMs };
}

/** The first checksum that is not that of `bytes`; those of algorithms that Node lacks are kept unchecked. */
export function wrongChecksum(bytes: Buffer, checksums: ReadonlyMap<string, string>): string | undefined {
  const found = (header: string) => {
    const name = header.slice('x-amz-checksum-'.length);
    if (name === 'sha1' || name === 'sha256') return createHash(name).update(bytes).digest('base64');
    if (name !== 'crc32') return undefined;
    const word = Buffer.alloc(4);
    word.writeUInt32BE(crc32(bytes));
    return word.toString('base64');
  };
  for (const [header, value] of checksums) {
    const is = found(header);
    if (is !== undefined && is !== value) return header;
  }
  return undefined;
}
