/** Whether the files of a shard are what the index says: there, of the right size, with the right digests. All problems are told, not the first. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError } from '../../base/index.ts';
import { unpack } from '../compression.ts';
import { hashBytes, isKnownHash } from '../hashes.ts';
import type { MdsShardEntry } from '../mds-index.ts';

/** What was found of a shard. */
export interface ShardHealth {
  /** the file that is there: raw or compressed */
  readonly basename: string;
  readonly samples: number;
  readonly rawBytes: number;
  /** null where the shard is not compressed */
  readonly zipBytes: number | null;
  /** names of the digests that were computed and are right */
  readonly hashes: readonly string[];
  /** one sentence each; [] for a shard that is whole */
  readonly problems: readonly string[];
}

/** Checks sizes and every digest that the index gives and this machine knows. Holds the shard in memory. */
export function checkShardFiles(dir: string, entry: MdsShardEntry): ShardHealth {
  const { raw_data: raw, zip_data: zip, samples } = entry;
  const problems: string[] = [];
  const hashes = new Set<string>();
  const found = {
    basename: (zip ?? raw).basename,
    samples,
    rawBytes: raw.bytes,
    zipBytes: zip?.bytes ?? null,
  };
  const bytes = readFile(dir, zip ?? raw, problems);
  if (bytes) {
    checkHashes(zip ?? raw, bytes, hashes, problems);
    const plain = zip && unpacked(entry, bytes, problems);
    if (plain) checkHashes(raw, plain, hashes, problems);
  }
  return { ...found, hashes: [...hashes], problems };
}

function readFile(
  dir: string,
  { basename, bytes }: MdsShardEntry['raw_data'],
  problems: string[],
): Uint8Array | undefined {
  const path = join(dir, basename);
  if (!existsSync(path)) {
    problems.push(`${basename} is missing`);
    return undefined;
  }
  const size = statSync(path).size;
  if (size !== bytes) {
    problems.push(`${basename} has ${size} bytes, but index.json says ${bytes}`);
    return undefined;
  }
  return readFileSync(path);
}

function checkHashes(
  file: MdsShardEntry['raw_data'],
  bytes: Uint8Array,
  right: Set<string>,
  problems: string[],
): void {
  for (const [name, expected] of Object.entries(file.hashes)) {
    if (!isKnownHash(name)) continue;
    const found = hashBytes(name, [bytes]);
    if (found === expected.toLowerCase()) right.add(name);
    else problems.push(`${file.basename} has ${name} ${found}, but index.json says ${expected}`);
  }
}

function unpacked(entry: MdsShardEntry, packed: Uint8Array, problems: string[]): Uint8Array | undefined {
  const { basename } = entry.zip_data!;
  try {
    return unpack(entry.compression ?? '', packed, entry.raw_data.bytes, basename);
  } catch (error) {
    if (!(error instanceof DabarexError)) throw error;
    problems.push(error.message);
    return undefined;
  }
}
