/**
 * The index of an MDS data set: `index.json`, version 2, as MosaicML Streaming writes it. Every figure in it is checked
 * before a shard is opened: the reader trusts nothing else about the files.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import { ENCODING_NAMES, type Encoding, encodingOf, unsafeEncoding } from './encodings.ts';

const count = z
  .number()
  .int()
  .nonnegative()
  .max(2 ** 32 - 1);

const FileEntry = z.object({
  basename: z
    .string()
    .min(1)
    .refine((name) => !/^[/\\]|^[a-z]:|\\|(^|\/)\.\.(\/|$)/i.test(name), 'must stay inside the folder'),
  // Offsets have 32 bits; what is compressed may be a little larger than what is not.
  bytes: z
    .number()
    .int()
    .nonnegative()
    .max(2 ** 33),
  hashes: z.record(z.string(), z.string()),
});

const RawEntry = FileEntry.extend({ bytes: count });

const ShardEntry = z.object({
  column_encodings: z.array(z.string()),
  column_names: z.array(z.string()),
  column_sizes: z.array(count.nullable()),
  compression: z.string().nullable(),
  format: z.literal('mds'),
  hashes: z.array(z.string()),
  raw_data: RawEntry,
  samples: count,
  size_limit: z.number().int().nullable(),
  version: z.literal(2),
  zip_data: FileEntry.nullable(),
});

const Index = z.object({ shards: z.array(ShardEntry), version: z.literal(2) });

/** One shard as the index describes it. */
export type MdsShardEntry = z.infer<typeof ShardEntry>;

export interface MdsColumn {
  readonly name: string;
  readonly encodingName: string;
  readonly encoding: Encoding;
}

/**
 * Reads and checks `dir/index.json`.
 * @throws shard_index_invalid where it is missing, is no JSON, breaks the schema, or names a column we cannot read
 */
export function readMdsIndex(dir: string): MdsShardEntry[] {
  const path = join(dir, 'index.json');
  if (!existsSync(path)) {
    throw invalid(path, 'is missing: the folder holds no data set, or writing it was never finished');
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw invalid(path, 'is not JSON');
  }
  const result = Index.safeParse(parsed);
  if (!result.success) {
    const issue = result.error.issues[0]!;
    throw invalid(path, `is no MDS index of version 2: ${issue.path.join('.')}: ${issue.message}`);
  }
  for (const [i, shard] of result.data.shards.entries()) {
    columnsOf(shard, `${path}: shards.${i}`);
    if (shard.compression && !shard.zip_data) {
      throw invalid(path, `says shard ${i} is compressed but names no zip_data`);
    }
  }
  return result.data.shards;
}

/** The columns of a shard with their codecs. @throws shard_index_invalid */
export function columnsOf(shard: MdsShardEntry, where: string): MdsColumn[] {
  const { column_names: names, column_encodings: encodings, column_sizes: sizes } = shard;
  if (names.length === 0 || names.length !== encodings.length || names.length !== sizes.length) {
    throw invalid(where, `has ${names.length} names, ${encodings.length} encodings, ${sizes.length} sizes`);
  }
  return names.map((name, i) => {
    const encodingName = encodings[i]!;
    const encoding = knownEncoding(name, encodingName, where);
    if (encoding.sizeBytes !== sizes[i]) {
      throw invalid(
        where,
        `column "${name}" (${encodingName}) has size ${sizes[i]}, not ${encoding.sizeBytes}`,
      );
    }
    return { name, encodingName, encoding };
  });
}

/** @throws shard_encoding_unsafe, shard_index_invalid */
function knownEncoding(name: string, encodingName: string, where: string): Encoding {
  const encoding = encodingOf(encodingName);
  if (encoding) return encoding;
  checkSafe(name, encodingName, where);
  const problem = `has encoding "${encodingName}", which is none of ${ENCODING_NAMES}`;
  throw invalid(where, `column "${name}" ${problem}`);
}

/** @throws shard_encoding_unsafe */
export function checkSafe(name: string, encodingName: string, where: string): void {
  const why = unsafeEncoding(encodingName);
  if (!why) return;
  throw new DabarexError(
    'shard_encoding_unsafe',
    `${where}: column "${name}" (${encodingName}) ${why}. Write the data set with another encoding, json perhaps.`,
    { where, name, encodingName },
  );
}

function invalid(where: string, problem: string): DabarexError {
  return new DabarexError(
    'shard_index_invalid',
    `${where} ${problem}. Write the data set again or give the right folder.`,
    { where },
  );
}
