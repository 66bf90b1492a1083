/** Token data on disk and its way into training: MDS shards, shuffled and mixed streams, batches. */
export type { Batch } from './batch.ts';
export { cacheLimitBytes, type StreamConfig, streamConfigSchema } from './config.ts';
export { type DataState, dataStateSchema } from './data-state.ts';
export { type EvaluationOptions, evaluationBatches } from './evaluation.ts';
export type { ShardHealth } from './inspect/health.ts';
export { type ColumnReport, type Inspection, type InspectOptions, inspectMds } from './inspect/inspect.ts';
export { type Fetched, inspectRemoteMds } from './inspect/remote.ts';
export {
  DuplicateFinder,
  type DuplicateReport,
  type Spread,
  SpreadCounter,
  TokenCounter,
  type TokenReport,
} from './inspect/statistics.ts';
export { isRemote } from './loader/batch-source.ts';
export { BatchLoader, type BatchLoaderOptions } from './loader/loader.ts';
export { fetchDataset, fetchIndex, type RemoteOptions } from './loader/remote-streams.ts';
export { openTextPlace, type TextPlace } from './loader/text-streams.ts';
export { type MergedIndex, mergeMdsIndexes } from './mds-merge.ts';
export { MdsReader, type MdsReaderOptions, type MdsShardFile } from './mds-reader.ts';
export { isMdsDataset, MdsWriter, type MdsWriterOptions } from './mds-writer.ts';
export { MosaicDataset, type MosaicDatasetOptions } from './mosaic/mosaic-dataset.ts';
export type { MosaicState } from './mosaic/mosaic-state.ts';
export { isMosaicOrder, type OrderConfig } from './mosaic/order-config.ts';
export type { NdArray, NdData, NdDtype } from './ndarray.ts';
export { type OpenTextOptions, openTextReader } from './open-text.ts';
export type { Mix, RankOf, SamplePlace, ShardPlace } from './places.ts';
export { type LineBlock, lineBlocks } from './rows/blocks.ts';
export { parseRow, textOfRow } from './rows/json-row.ts';
export { linesIn, readLines } from './rows/lines.ts';
export { PARQUET_TEXT, ParquetFile } from './rows/parquet.ts';
export { RowsError } from './rows/rows-error.ts';
export { packingOf } from './rows/unpacked.ts';
export type { SampleReader } from './sample-reader.ts';
export { type SimulateOptions, type Simulation, simulate } from './simulate/simulate.ts';
export { indexedShards, SIMULATED_SHUFFLES, type SimulatedShard } from './simulate/uses.ts';
export { DEFAULT_BLOCK_SIZE, StreamingDataset, type StreamingDatasetOptions } from './streaming-dataset.ts';
export type { StreamingState } from './streaming-state.ts';
export { type TextFilesConfig, textFilesSchema } from './text-config.ts';
export type { TextContent, TextReader } from './text-reader.ts';
