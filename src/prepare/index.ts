/** Raw text to clean text to token shards: sources, filters, splits, manifests. */
export {
  type FilterConfig,
  FORMATS,
  type Format,
  filterConfigSchema,
  type HeldOutConfig,
  heldOutConfigSchema,
  type PrepareConfig,
  prepareConfigSchema,
  type SourceConfig,
  sourceConfigSchema,
} from './config.ts';
export { type ConversionReport, type ConvertOptions, convertToMds } from './convert/convert.ts';
export type { InputFormat } from './convert/inputs.ts';
export {
  type CorpusManifest,
  type DomainReport,
  type PreparedCorpus,
  type PrepareOptions,
  prepareCorpus,
  type SourceReport,
  type SplitCount,
} from './corpus.ts';
export { type Document, readDocuments } from './documents.ts';
export type { RejectReason } from './filters.ts';
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
