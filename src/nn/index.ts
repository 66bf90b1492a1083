export {
  Attention,
  type AttentionConfig,
  type CachedRows,
  type LayerCache,
  type PackedRows,
} from './attention.ts';
export { Experts, type ExpertsConfig, type ExpertsOutput } from './experts.ts';
export { Linear, type LinearOptions } from './linear.ts';
export { Mlp, type MlpConfig } from './mlp.ts';
export { Norm, type NormKind, type NormOptions } from './norm.ts';
