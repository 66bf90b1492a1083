export { createKvCache, type KvCache } from './cache.ts';
export {
  completeModelConfig,
  type ModelConfig,
  type ModelConfigInput,
  modelConfigSchema,
} from './config.ts';
export { FAMILIES, type Family } from './families/traits.ts';
export {
  fillWeights,
  hasShape,
  readModelConfig,
  readWeights,
  saveModelFolder,
} from './folder.ts';
export { Generator } from './generator.ts';
export { ggufVocabularyMetadata, readGgufVocabulary } from './gguf-vocabulary.ts';
export { type LoadedModel, type LoadModelOptions, loadModel } from './load-model.ts';
export { huggingFaceFiles, loadTokenizerOf, vocabularyOf } from './model-tokenizer.ts';
export { type ModelFormat, type OpenModel, openModel, type TensorDescription } from './open-model.ts';
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
export {
  WEIGHT_TYPES,
  type WeightType,
  type WriteModelOptions,
  writeGgufModel,
  writeHuggingFace,
} from './write-model.ts';
