/** Token data on disk and its way into training: MDS shards, shuffled and mixed streams, batches. */
export type { Batch } from './batch.ts';
export { type EvaluationOptions, evaluationBatches } from './evaluation.ts';
export type { ShardHealth } from './inspect/health.ts';
export { type ColumnReport, type Inspection, type InspectOptions, inspectMds } from './inspect/inspect.ts';
export { type LineBlock, lineBlocks } from './line-blocks.ts';
export { type MergedIndex, mergeMdsIndexes } from './mds-merge.ts';
export { MdsReader, type MdsReaderOptions, type MdsShardFile } from './mds-reader.ts';
export { isMdsDataset, MdsWriter, type MdsWriterOptions } from './mds-writer.ts';
export type { NdArray, NdData, NdDtype } from './ndarray.ts';
export { type OpenTextOptions, openTextReader } from './open-text.ts';
export type { SampleReader } from './sample-reader.ts';
export { StreamingDataset, type StreamingDatasetOptions, type StreamingState } from './streaming-dataset.ts';
export type { TextReader } from './text-reader.ts';
