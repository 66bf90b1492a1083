export { MdsReader, type MdsReaderOptions } from './mds-reader.ts';
export { isMdsDataset, MdsWriter, type MdsWriterOptions } from './mds-writer.ts';
export type { NdArray, NdData, NdDtype } from './ndarray.ts';
