/** Raw text to clean text to token shards: sources, filters, splits, manifests. */
export {
  type HeldOutConfig,
  heldOutConfigSchema,
  type PrepareConfig,
  prepareConfigSchema,
} from './config.ts';
export { type ConversionReport, type ConvertOptions, convertToMds } from './convert/convert.ts';
export type { InputFormat } from './convert/inputs.ts';
export { type PreparedCorpus, type PrepareOptions, prepareCorpus } from './corpus.ts';
export type { CorpusManifest, DomainReport, SourceReport, StageReport } from './corpus-report.ts';
export { type CacheEntry, listDataCache, pruneDataCache, type UsedKeys } from './data-cache.ts';
export { type Document, readDocuments } from './documents.ts';
export { type InspectTextsOptions, inspectTexts, type TextInspection } from './inspect-texts.ts';
export { type SampleDocument, type SampleLineage, sampleLineage } from './lineage.ts';
export type { Share } from './pipeline/shares.ts';
export { renderReport } from './report/report.ts';
export { FORMATS, type Format, type SourceConfig, sourceConfigSchema } from './source-config.ts';
export { SPLITS, type Split } from './split.ts';
export type { StageOptions } from './stage-folder.ts';
export { finishedCorpus, sampleTexts, type TextSampleOptions } from './text-sample.ts';
export {
  type ShardsManifest,
  type TokenCount,
  type TokenizeOptions,
  tokenizeCorpus,
} from './token-shards.ts';
export {
  type TrainedTokenizer,
  type TrainTokenizerOptions,
  trainCorpusTokenizer,
} from './tokenizer-training.ts';
