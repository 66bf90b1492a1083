/**
 * Token samples to the rows a transformer takes. B sequences of T tokens make B·T rows, sequence after sequence.
 * The end-of-text token closes its document: attention does not reach across it. Its target is the first token of the
 * next document and counts like any other, as LLM Foundry trains. A sample of T + 1 tokens gives every row its target; one of T
 * tokens, as LLM Foundry writes them, gives the last row none.
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
  /** of packed documents: rows that only fill up sequences */
  readonly paddingRows?: number;
}

/** A batch whose sequences are all padding (token 0, target ignored), to be filled by {@link fillSequence}. */
export function emptyBatch(numSequences: number, sequenceLength: number): Batch {
  const rows = numSequences * sequenceLength;
  const firstKey = new Int32Array(rows);
  const positions = new Int32Array(rows);
  for (let start = 0; start < rows; start += sequenceLength) {
    firstKey.fill(start, start, start + sequenceLength);
    for (let t = 0; t < sequenceLength; t++) positions[start + t] = t;
  }
  return {
    tokens: new Int32Array(rows),
    targets: new Int32Array(rows).fill(-1),
    firstKey,
    positions,
    numSequences,
    sequenceLength,
  };
}

/** Writes a sample of T + 1 tokens, or of T, into sequence `b` of the batch. */
export function fillSequence(batch: Batch, b: number, sample: Int32Array, endOfText: number): void {
  const { tokens, targets, firstKey, sequenceLength } = batch;
  const start = b * sequenceLength;
  tokens.set(sample.length > sequenceLength ? sample.subarray(0, sequenceLength) : sample, start);
  targets.set(sample.subarray(1), start);
  const last = start + sequenceLength;
  for (
    let t = sample.indexOf(endOfText);
    t >= 0 && start + t + 1 < last;
    t = sample.indexOf(endOfText, t + 1)
  ) {
    firstKey.fill(start + t + 1, start + t + 1, last);
  }
}

export interface TokenRange {
  /** ids are below it */
  readonly vocabSize?: number;
}

/**
 * Reads the tokens of a sample: a one-dimensional array of whole numbers of any width, or bytes that are int64 numbers, as LLM Foundry
 * once wrote them.
 * @throws shard_index_invalid, token_out_of_range, and what the reader throws
 */
export function readTokens(reader: SampleReader, index: number, { vocabSize }: TokenRange = {}): Int32Array {
  const { tokens } = reader.read(index);
  const found = asInt32(tokens);
  if (!found) {
    throw new DabarexError(
      'shard_index_invalid',
      `${reader.dir} has no column "tokens" of one-dimensional arrays of whole numbers. Give a folder of token shards.`,
      { dir: reader.dir },
    );
  }
  // An unsigned compare refuses negative ids, too.
  const limit = vocabSize ?? 2 ** 31;
  for (let t = 0; t < found.length; t++) {
    if (found[t]! >>> 0 >= limit) throw outOfRange(reader.dir, index, found[t]!, limit);
  }
  return found;
}

/** As {@link readTokens}, of a whole sequence. @throws sequence_length_mismatch, too */
export function readSequence(
  reader: SampleReader,
  index: number,
  sequenceLength: number,
  range?: TokenRange,
): Int32Array {
  const tokens = readTokens(reader, index, range);
  if (tokens.length === sequenceLength + 1 || tokens.length === sequenceLength) return tokens;
  throw new DabarexError(
    'sequence_length_mismatch',
    `${reader.dir}: samples hold ${tokens.length} tokens, but sequences of ${sequenceLength} need ${sequenceLength + 1}, ` +
      `or ${sequenceLength} and a last row without target. Set sequenceLength to ${tokens.length - 1}, or write the shards again.`,
    { dir: reader.dir, sampleTokens: tokens.length, sequenceLength },
  );
}

function asInt32(tokens: unknown): Int32Array | undefined {
  if (tokens instanceof Int32Array) return tokens;
  if (tokens instanceof Uint8Array) return fromInt64Bytes(tokens);
  if (tokens instanceof BigInt64Array || tokens instanceof BigUint64Array) {
    return Int32Array.from(tokens, (value) => (value >= 0n && value < 2n ** 31n ? Number(value) : -1));
  }
  const isWhole = [Uint16Array, Int16Array, Uint32Array, Int8Array].some((kind) => tokens instanceof kind);
  // A uint32 above 2^31 becomes negative, which is out of range.
  return isWhole ? Int32Array.from(tokens as Uint16Array) : undefined;
}

function fromInt64Bytes(bytes: Uint8Array): Int32Array | undefined {
  if (bytes.length % 8 !== 0) return undefined;
  const words = new Int32Array(bytes.slice().buffer);
  return Int32Array.from({ length: words.length / 2 }, (_, i) =>
    words[2 * i + 1] === 0 ? words[2 * i]! : -1,
  );
}

function outOfRange(dir: string, index: number, token: number, limit: number): DabarexError {
  return new DabarexError(
    'token_out_of_range',
    `${dir}: sample ${index} holds the token ${token}, but the vocabulary has ${limit}. These shards were made with another ` +
      'tokenizer; give that one, or write them again.',
    { dir, index, token, vocabSize: limit },
  );
}
