/** Token data on disk and its way into training: MDS shards, shuffled and mixed streams, batches. */
export type { Batch } from './batch.ts';
export { cacheLimitBytes, type StreamConfig, streamConfigSchema } from './config.ts';
export { type EvaluationOptions, evaluationBatches } from './evaluation.ts';
export type { ShardHealth } from './inspect/health.ts';
export { type ColumnReport, type Inspection, type InspectOptions, inspectMds } from './inspect/inspect.ts';
export { isRemote } from './loader/batch-source.ts';
export { BatchLoader, type BatchLoaderOptions } from './loader/loader.ts';
export { fetchDataset, fetchIndex, type RemoteOptions } from './loader/remote-streams.ts';
export { type MergedIndex, mergeMdsIndexes } from './mds-merge.ts';
export { MdsReader, type MdsReaderOptions, type MdsShardFile } from './mds-reader.ts';
export { isMdsDataset, MdsWriter, type MdsWriterOptions } from './mds-writer.ts';
export type { NdArray, NdData, NdDtype } from './ndarray.ts';
export type { SampleReader } from './sample-reader.ts';
export {
  type Mix,
  type SamplePlace,
  StreamingDataset,
  type StreamingDatasetOptions,
} from './streaming-dataset.ts';
export { type StreamingState, streamingStateSchema } from './streaming-state.ts';
