/** The head of a shard: how many samples it holds and where each begins. Nothing in it is believed before it fits the index. */
import { DabarexError } from '../base/index.ts';
import type { ShardBytes } from './shard-bytes.ts';

/**
 * The n + 1 offsets of a shard of `numSamples` samples: rising, the last one its size.
 * @throws shard_corrupt, shard_truncated
 */
export function readOffsets(bytes: ShardBytes, numSamples: number): Uint32Array {
  const tableBytes = 4 * (numSamples + 2);
  if (bytes.sizeBytes < tableBytes) throw corrupt(bytes.path, `is too short for ${numSamples} offsets`);
  // The count alone first: a table may have 4 GiB.
  const [held] = wordsAt(bytes, 4);
  if (held !== numSamples) throw corrupt(bytes.path, `holds ${held} samples; index.json says ${numSamples}`);
  const offsets = wordsAt(bytes, tableBytes).subarray(1);
  let last = tableBytes;
  for (const offset of offsets) {
    if (offset < last) throw corrupt(bytes.path, `has an offset ${offset} below the one before it, ${last}`);
    last = offset;
  }
  if (last !== bytes.sizeBytes)
    throw corrupt(bytes.path, `ends at ${bytes.sizeBytes}, not at offset ${last}`);
  return offsets;
}

function corrupt(path: string, problem: string): DabarexError {
  const message = `${path} ${problem}. Copy the shard again or write the data set again.`;
  return new DabarexError('shard_corrupt', message, { path });
}

/** The words in the first bytes, in memory of their own. */
function wordsAt(bytes: ShardBytes, length: number): Uint32Array {
  const at = bytes.locate(0, length);
  return new Uint32Array(bytes.buffer.slice(at, at + length).buffer);
}
