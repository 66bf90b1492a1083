/**
 * Digests an MDS index may name: what node:crypto has (md5, sha1, sha224, sha256, sha384, sha512, blake2b, blake2s) and
 * xxh64. Of the xxHash family only xxh64 is here, in bigints: about a thousand times slower than sha1, so it is computed
 * when writing asks for it and checked only where a file has no other known digest.
 */
import { createHash } from 'node:crypto';

const CRYPTO_NAMES = new Map([
  ['md5', 'md5'],
  ['sha1', 'sha1'],
  ['sha224', 'sha224'],
  ['sha256', 'sha256'],
  ['sha384', 'sha384'],
  ['sha512', 'sha512'],
  ['blake2b', 'blake2b512'],
  ['blake2s', 'blake2s256'],
]);

/** True where {@link hashBytes} knows the algorithm. */
export function isKnownHash(name: string): boolean {
  return name === 'xxh64' || CRYPTO_NAMES.has(name);
}

/** The digest of the concatenated parts in lower-case hex, or undefined for an algorithm that is not known. */
export function hashBytes(name: string, parts: Iterable<Uint8Array>): string | undefined {
  const cryptoName = CRYPTO_NAMES.get(name);
  if (cryptoName) {
    const hash = createHash(cryptoName);
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  }
  return name === 'xxh64'
    ? xxh64(Buffer.concat([...parts]))
        .toString(16)
        .padStart(16, '0')
    : undefined;
}

/** Of the digests of a file, the one that is cheapest to check: [name, hex], or undefined where none is known. */
export function checkableHash(hashes: Readonly<Record<string, string>>): [string, string] | undefined {
  const known = Object.entries(hashes).filter(([name]) => isKnownHash(name));
  return known.find(([name]) => name !== 'xxh64') ?? known[0];
}

const MASK = (1n << 64n) - 1n;
const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

/** XXH64 with seed 0. @see https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md */
function xxh64(bytes: Buffer): bigint {
  let hash = P5;
  let at = 0;
  if (bytes.length >= 32) {
    const lanes: [bigint, bigint, bigint, bigint] = [(P1 + P2) & MASK, P2, 0n, -P1 & MASK];
    for (; at + 32 <= bytes.length; at += 32) {
      for (let lane = 0; lane < 4; lane++) {
        lanes[lane] = xxRound(lanes[lane]!, bytes.readBigUInt64LE(at + 8 * lane));
      }
    }
    hash =
      (rotate(lanes[0], 1n) + rotate(lanes[1], 7n) + rotate(lanes[2], 12n) + rotate(lanes[3], 18n)) & MASK;
    for (const lane of lanes) hash = ((hash ^ xxRound(0n, lane)) * P1 + P4) & MASK;
  }
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8) {
    hash = (rotate(hash ^ xxRound(0n, bytes.readBigUInt64LE(at)), 27n) * P1 + P4) & MASK;
  }
  if (at + 4 <= bytes.length) {
    hash = (rotate(hash ^ ((BigInt(bytes.readUInt32LE(at)) * P1) & MASK), 23n) * P2 + P3) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) hash = (rotate(hash ^ ((BigInt(bytes[at]!) * P5) & MASK), 11n) * P1) & MASK;
  hash = ((hash ^ (hash >> 33n)) * P2) & MASK;
  hash = ((hash ^ (hash >> 29n)) * P3) & MASK;
  return hash ^ (hash >> 32n);
}

function xxRound(lane: bigint, input: bigint): bigint {
  return (rotate((lane + input * P2) & MASK, 31n) * P1) & MASK;
}

function rotate(value: bigint, by: bigint): bigint {
  return ((value << by) | (value >> (64n - by))) & MASK;
}
