/** Held-out samples in order, each once, for evaluation. */
import { type Batch, emptyBatch, fillSequence, readSequence } from './batch.ts';
import { MdsReader } from './mds-reader.ts';

export interface EvaluationOptions {
  readonly numSequences: number;
  readonly sequenceLength: number;
  /** token that ends a document */
  readonly endOfText: number;
  /** ids of tokens are below it; default: not checked */
  readonly vocabSize?: number;
}

/**
 * All samples of a token data set, in order; the last batch is filled up with sequences whose targets are ignored.
 * Can be iterated more than once.
 * @throws while iterating: sequence_length_mismatch, shard_truncated, shard_corrupt, shard_missing, shard_index_invalid
 */
export function evaluationBatches(dir: string, options: EvaluationOptions): Iterable<Batch> {
  return { [Symbol.iterator]: () => iterate(dir, options) };
}

function* iterate(
  dir: string,
  { numSequences, sequenceLength, endOfText, vocabSize }: EvaluationOptions,
): Generator<Batch> {
  const reader = new MdsReader(dir);
  try {
    for (let start = 0; start < reader.numSamples; start += numSequences) {
      const batch = emptyBatch(numSequences, sequenceLength);
      for (let b = 0; b < numSequences && start + b < reader.numSamples; b++) {
        fillSequence(batch, b, readSequence(reader, start + b, sequenceLength, { vocabSize }), endOfText);
      }
      yield batch;
    }
  } finally {
    reader.close();
  }
}
