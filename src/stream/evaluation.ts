/** Held-out samples in order, each once, for evaluation. */
import { type Batch, emptyBatch, fillSequence, readSequence, readTokens } from './batch.ts';
import { MdsReader } from './mds-reader.ts';
import { fillPacked, packDocuments } from './packed-dataset.ts';
import type { SampleReader } from './sample-reader.ts';

export interface EvaluationOptions {
  readonly numSequences: number;
  readonly sequenceLength: number;
  /** token that ends a document */
  readonly endOfText: number;
  /** ids of tokens are below it; default: not checked */
  readonly vocabSize?: number;
  /** documents packed among themselves, in order; absent: every sample is a sequence */
  readonly packingWindow?: number;
}

/**
 * All samples of a token data set, in order; the last batch is filled up with sequences whose targets are ignored.
 * Can be iterated more than once.
 * @param source a folder of shards, or a reader, which stays open
 * @throws while iterating: sequence_length_mismatch, shard_truncated, shard_corrupt, shard_missing, shard_index_invalid
 */
export function evaluationBatches(
  source: string | SampleReader,
  options: EvaluationOptions,
): Iterable<Batch> {
  return { [Symbol.iterator]: () => iterate(source, options) };
}

function* iterate(source: string | SampleReader, options: EvaluationOptions): Generator<Batch> {
  const reader = typeof source === 'string' ? new MdsReader(source) : source;
  try {
    yield* options.packingWindow === undefined
      ? wholeBatches(reader, options)
      : packedBatches(reader, options);
  } finally {
    if (reader !== source) reader.close();
  }
}

function* wholeBatches(reader: SampleReader, options: EvaluationOptions): Generator<Batch> {
  const { numSequences, sequenceLength, endOfText, vocabSize } = options;
  for (let start = 0; start < reader.numSamples; start += numSequences) {
    const batch = emptyBatch(numSequences, sequenceLength);
    for (let b = 0; b < numSequences && start + b < reader.numSamples; b++) {
      const tokens = readSequence(reader, start + b, sequenceLength, { vocabSize });
      fillSequence(batch, b, tokens, endOfText);
    }
    yield batch;
  }
}

function* packedBatches(reader: SampleReader, options: EvaluationOptions): Generator<Batch> {
  const { numSequences, sequenceLength, vocabSize, packingWindow = 1 } = options;
  for (let first = 0; first < reader.numSamples; first += packingWindow) {
    const count = Math.min(packingWindow, reader.numSamples - first);
    const documents = Array.from({ length: count }, (_, i) => readTokens(reader, first + i, { vocabSize }));
    const sequences = packDocuments(documents, sequenceLength);
    for (let start = 0; start < sequences.length; start += numSequences) {
      const batch = emptyBatch(numSequences, sequenceLength);
      for (let b = 0; b < numSequences && start + b < sequences.length; b++) {
        fillPacked(batch, b, sequences[start + b]!);
      }
      yield batch;
    }
  }
}
