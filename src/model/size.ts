/** What follows from a model's shape alone: parameters, FLOPs, memory. Nothing here allocates weights. */
import { INT8_BLOCK } from '../tensor/index.ts';
import { hasRouter, type ModelConfig } from './config.ts';
import { traitsOf } from './families/traits.ts';

export interface ParameterCount {
  readonly total: number;
  /** used for one token: of the experts only topK */
  readonly active: number;
  /** active without the input embedding, whose look-up costs no product; tied, it counts as the output projection */
  readonly activeInProducts: number;
}

/** Counts parameters: projections with their biases, norms, experts, tables. */
export function countParameters(config: ModelConfig): ParameterCount {
  const { dModel, numLayers, vocabSize, maxSeqLen, ffn, tieEmbeddings } = config;
  const { positions, normBias, postNorms, ffn: kind, hasSharedExpert } = traitsOf(config.family);
  const norm = dModel * (normBias ? 2 : 1);
  const expert = (kind === 'gated' ? 3 : 2) * dModel * ffn.hidden + feedForwardBiases(config);
  const router = hasRouter(config) ? ffn.numExperts * dModel : 0;
  const everyToken = hasSharedExpert ? 3 * dModel * ffn.sharedHidden + dModel : 0;
  const shared = attentionParameters(config) + (postNorms ? 4 : 2) * norm + router + everyToken;
  const table = vocabSize * dModel;
  const learned = positions === 'learned' ? maxSeqLen * dModel : 0;
  const outer = (tieEmbeddings ? 1 : 2) * table + norm + learned;
  const total = outer + numLayers * (shared + ffn.numExperts * expert);
  const active = outer + numLayers * (shared + ffn.topK * expert);
  return { total, active, activeInProducts: active - learned - (tieEmbeddings ? 0 : table) };
}

function attentionParameters({ family, dModel, numHeads, kvHeads, headDim }: ModelConfig): number {
  const { qkNorm, outBias, qkvBias } = traitsOf(family);
  const columns = (numHeads + 2 * kvHeads) * headDim;
  const normed = qkNorm === 'none' ? 0 : qkNorm === 'head' ? 2 * headDim : (numHeads + kvHeads) * headDim;
  const biases = (qkvBias ? columns : 0) + (outBias ? dModel : 0);
  return dModel * columns + numHeads * headDim * dModel + normed + biases;
}

function feedForwardBiases({ family, dModel, ffn }: ModelConfig): number {
  const traits = traitsOf(family);
  return traits.ffn === 'plain' && traits.outBias ? ffn.hidden + dModel : 0;
}

export interface FlopsPerToken {
  readonly forward: number;
  /** forward and backward: three times the forward pass, nothing recomputed */
  readonly training: number;
}

/**
 * FLOPs of one token in a sequence of `sequenceLength`: 2 per active parameter in products, plus the causal half of
 * attention's two products (sequenceLength / 2 keys on average).
 */
export function flopsPerToken(config: ModelConfig, sequenceLength: number): FlopsPerToken {
  const { activeInProducts } = countParameters(config);
  const attention = config.numLayers * 2 * 2 * config.numHeads * config.headDim * (sequenceLength / 2);
  const forward = 2 * activeInProducts + attention;
  return { forward, training: 3 * forward };
}

export interface MemoryEstimate {
  readonly weightsBf16Bytes: number;
  readonly weightsF32Bytes: number;
  /** of 8 bits, and a scale of 32 for every {@link INT8_BLOCK} */
  readonly weightsInt8Bytes: number;
  /** keys and values of one token, f32 */
  readonly cacheBytesPerToken: number;
  /** f32 master weights, gradients and both AdamW moments, plus packed copies of the matrices in bf16 */
  readonly trainingStateBytes: number;
}

export function estimateMemory(config: ModelConfig): MemoryEstimate {
  const { total } = countParameters(config);
  return {
    weightsBf16Bytes: total * 2,
    weightsF32Bytes: total * 4,
    weightsInt8Bytes: total * (1 + 4 / INT8_BLOCK),
    cacheBytesPerToken: config.numLayers * 2 * config.kvHeads * config.headDim * 4,
    trainingStateBytes: total * (4 * 4 + 2 * 2),
  };
}
