export { type EvaluateConfig, evaluateConfigSchema } from './config.ts';
export {
  bitsPerByte,
  evaluatePerplexity,
  type PerplexityOptions,
  type PerplexityResult,
} from './perplexity.ts';
export { xzSizeBytes } from './xz.ts';
