/**
 * Digests an MDS index may name: those of Python's hashlib with a fixed length, by its names (`sha1`, `sha3_256`, `blake2b`, ...),
 * and those of the xxHash family by the names of Python's xxhash (`xxh32`, `xxh64`, `xxh3_64`, `xxh3_128` = `xxh128`).
 * The first come from node:crypto, the others from @node-rs/xxhash, which is loaded when one is first asked for.
 */
import { createHash, getHashes } from 'node:crypto';
import { createRequire } from 'node:module';
import { DIGEST_NAMES } from '../base/index.ts';

/** Called with all parts of a file, one after the other. */
interface Hasher {
  update(part: Uint8Array): void;
  /** lower-case hex */
  digest(): string;
}

const XXHASH_NAMES = ['xxh64', 'xxh3_64', 'xxh3_128', 'xxh128', 'xxh32'];

/** Cheapest to check first; the rest as they come. */
const CHEAPEST = [...XXHASH_NAMES, 'sha1', 'sha256', 'sha224', 'sha512', 'sha384', 'md5', 'blake2b'];

/** All names {@link hashBytes} knows on this machine. */
export function knownHashes(): string[] {
  const here = new Set(getHashes());
  return [...XXHASH_NAMES, ...[...DIGEST_NAMES].filter(([, each]) => here.has(each)).map(([name]) => name)];
}

/** True where {@link hashBytes} knows the algorithm. */
export function isKnownHash(name: string): boolean {
  if (XXHASH_NAMES.includes(name)) return true;
  const cryptoName = DIGEST_NAMES.get(name);
  return cryptoName !== undefined && getHashes().includes(cryptoName);
}

/** The digest of the concatenated parts in lower-case hex, or undefined for an algorithm that is not known. */
export function hashBytes(name: string, parts: Iterable<Uint8Array>): string | undefined {
  if (!isKnownHash(name)) return undefined;
  const hasher = createHasher(name);
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}

/** Of the digests of a file, the one that is cheapest to check: [name, hex], or undefined where none is known. */
export function checkableHash(hashes: Readonly<Record<string, string>>): [string, string] | undefined {
  const known = Object.entries(hashes).filter(([name]) => isKnownHash(name));
  const cheapest = CHEAPEST.find((name) => known.some(([each]) => each === name));
  return known.find(([name]) => name === cheapest) ?? known[0];
}

function createHasher(name: string): Hasher {
  if (XXHASH_NAMES.includes(name)) return createXxHasher(name);
  const hash = createHash(DIGEST_NAMES.get(name)!);
  return { update: (part) => hash.update(part), digest: () => hash.digest('hex') };
}

function createXxHasher(name: string): Hasher {
  const { Xxh32, Xxh64, xxh3 } = createRequire(import.meta.url)(
    '@node-rs/xxhash',
  ) as typeof import('@node-rs/xxhash');
  if (name === 'xxh3_128' || name === 'xxh128') {
    const parts: Uint8Array[] = [];
    // The library has no incremental form of this one.
    return { update: (part) => parts.push(part), digest: () => hex(xxh3.xxh128(joined(parts)), 32) };
  }
  const hash = name === 'xxh32' ? new Xxh32() : name === 'xxh64' ? new Xxh64() : xxh3.Xxh3.withSeed();
  return {
    update: (part) => hash.update(part),
    digest: () => hex(hash.digest(), name === 'xxh32' ? 8 : 16),
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

function hex(value: number | bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
