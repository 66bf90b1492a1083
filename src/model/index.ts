export { createKvCache, type KvCache } from './cache.ts';
export {
  completeModelConfig,
  type ModelConfig,
  type ModelConfigInput,
  modelConfigSchema,
} from './config.ts';
export { FAMILIES, type Family } from './families/traits.ts';
export {
  hasShape,
  type LoadedModel,
  type LoadModelOptions,
  loadModelFolder,
  readModelConfig,
  readWeights,
  saveModelFolder,
} from './folder.ts';
export { Generator } from './generator.ts';
export { ggufVocabularyMetadata, readGgufVocabulary } from './gguf-vocabulary.ts';
export {
  countParameters,
  estimateMemory,
  type FlopsPerToken,
  flopsPerToken,
  type MemoryEstimate,
  type ParameterCount,
} from './size.ts';
export {
  type ForwardOptions,
  type ForwardOutput,
  type TokenRows,
  Transformer,
  type TransformerOptions,
} from './transformer.ts';
