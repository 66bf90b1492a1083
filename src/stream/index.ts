/** Token data on disk and its way into training: MDS shards, shuffled and mixed streams, batches. */
export type { Batch } from './batch.ts';
export { type EvaluationOptions, evaluationBatches } from './evaluation.ts';
export { MdsReader, type MdsReaderOptions, type MdsShardFile } from './mds-reader.ts';
export { isMdsDataset, MdsWriter, type MdsWriterOptions } from './mds-writer.ts';
export type { NdArray, NdData, NdDtype } from './ndarray.ts';
export { StreamingDataset, type StreamingDatasetOptions, type StreamingState } from './streaming-dataset.ts';
