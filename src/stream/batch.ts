/**
 * Token samples to the rows a transformer takes. B sequences of T tokens make B·T rows, sequence after sequence.
 * The end-of-text token closes its document: attention does not reach across it. Its target is the first token of the
 * next document and counts like any other, as LLM Foundry trains.
 */
import { DabarexError } from '../base/index.ts';
import type { SampleReader } from './sample-reader.ts';

/** All arrays have B·T entries. */
export interface Batch {
  readonly tokens: Int32Array;
  /** the token after each; negative: ignored */
  readonly targets: Int32Array;
  /** row, within the whole batch, of the first token of the row's document in its sequence */
  readonly firstKey: Int32Array;
  /** place within the sequence, from 0 */
  readonly positions: Int32Array;
  readonly numSequences: number;
  readonly sequenceLength: number;
}

/** A batch whose sequences are all padding (token 0, target ignored), to be filled by {@link fillSequence}. */
export function emptyBatch(numSequences: number, sequenceLength: number): Batch {
  const rows = numSequences * sequenceLength;
  const indexed = (value: (row: number) => number) =>
    Int32Array.from({ length: rows }, (_, row) => value(row));
  return {
    tokens: new Int32Array(rows),
    targets: new Int32Array(rows).fill(-1),
    firstKey: indexed((row) => row - (row % sequenceLength)),
    positions: indexed((row) => row % sequenceLength),
    numSequences,
    sequenceLength,
  };
}

/** Writes a sample of T + 1 tokens into sequence `b` of the batch. */
export function fillSequence(batch: Batch, b: number, sample: Int32Array, endOfText: number): void {
  const { tokens, targets, firstKey, sequenceLength } = batch;
  const start = b * sequenceLength;
  let first = start;
  for (let t = 0; t < sequenceLength; t++) {
    if (t > 0 && sample[t - 1] === endOfText) first = start + t;
    tokens[start + t] = sample[t]!;
    targets[start + t] = sample[t + 1]!;
    firstKey[start + t] = first;
  }
}

/** Reads the tokens of a sample. @throws sequence_length_mismatch, shard_index_invalid, and what the reader throws */
export function readTokens(reader: SampleReader, index: number, sequenceLength: number): Int32Array {
  const { tokens } = reader.read(index);
  if (!(tokens instanceof Int32Array)) {
    throw new DabarexError(
      'shard_index_invalid',
      `${reader.dir} has no column "tokens" of one-dimensional int32 arrays. Give a folder of token shards.`,
      { dir: reader.dir },
    );
  }
  if (tokens.length !== sequenceLength + 1) {
    throw new DabarexError(
      'sequence_length_mismatch',
      `${reader.dir}: samples hold ${tokens.length} tokens, but sequences of ${sequenceLength} need ${sequenceLength + 1}. ` +
        `Set sequenceLength to ${tokens.length - 1} or write the shards again.`,
      { dir: reader.dir, sampleTokens: tokens.length, sequenceLength },
    );
  }
  return tokens;
}
