export { createKvCache, type KvCache } from './cache.ts';
export {
  completeModelConfig,
  countParameters,
  estimateMemory,
  type FlopsPerToken,
  flopsPerToken,
  headDimOf,
  type MemoryEstimate,
  type ModelConfig,
  type ModelConfigInput,
  modelConfigSchema,
  type ParameterCount,
} from './config.ts';
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
export {
  type ForwardOptions,
  type ForwardOutput,
  type TokenRows,
  Transformer,
  type TransformerOptions,
} from './transformer.ts';
