/** Digests of files by the names an MDS index uses, of what node:crypto has; others (xxHash) come from who knows them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { DIGEST_NAMES } from '../base/index.ts';

const CHUNK_BYTES = 2 ** 20;

/** The digest of a file in lower-case hex; undefined for an algorithm that is not known. */
export type FileDigest = (
  path: string,
  algorithm: string,
  signal?: AbortSignal,
) => Promise<string | undefined>;

/** {@link FileDigest} by node:crypto. */
export const cryptoDigest: FileDigest = async (path, algorithm, signal) => {
  const name = DIGEST_NAMES.get(algorithm);
  if (!name) return undefined;
  const hash = createHash(name);
  for await (const part of createReadStream(path, { highWaterMark: CHUNK_BYTES, signal })) {
    hash.update(part as Uint8Array);
  }
  return hash.digest('hex');
};
