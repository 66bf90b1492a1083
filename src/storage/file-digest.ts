/** Digests of files by the names an MDS index uses, of what node:crypto has; others (xxHash) come from who knows them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

const CRYPTO_NAMES: ReadonlyMap<string, string> = new Map([
  ['md5', 'md5'],
  ['sha1', 'sha1'],
  ['sha224', 'sha224'],
  ['sha256', 'sha256'],
  ['sha384', 'sha384'],
  ['sha512', 'sha512'],
  ['sha3_224', 'sha3-224'],
  ['sha3_256', 'sha3-256'],
  ['sha3_384', 'sha3-384'],
  ['sha3_512', 'sha3-512'],
  ['blake2b', 'blake2b512'],
  ['blake2s', 'blake2s256'],
]);

const CHUNK_BYTES = 2 ** 20;

/** The digest of a file in lower-case hex; undefined for an algorithm that is not known. */
export type FileDigest = (
  path: string,
  algorithm: string,
  signal?: AbortSignal,
) => Promise<string | undefined>;

/** {@link FileDigest} by node:crypto. */
export const cryptoDigest: FileDigest = async (path, algorithm, signal) => {
  const name = CRYPTO_NAMES.get(algorithm);
  if (!name) return undefined;
  const hash = createHash(name);
  for await (const part of createReadStream(path, { highWaterMark: CHUNK_BYTES, signal })) {
    hash.update(part as Uint8Array);
  }
  return hash.digest('hex');
};
