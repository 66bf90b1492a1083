/**
 * config.json of Llama and what kept its shape, field by field. Two generations of names are read: rope_theta and rope_scaling (transformers 4), or
 * rope_parameters (5).
 */
import { z } from 'zod';
import { DabarexError, parseConfig } from '../../base/index.ts';
import type { RopeScaling } from '../../tensor/index.ts';
import { completeModelConfig, type ModelConfig, modelConfigSchema } from '../config.ts';
import { type Family, traitsOf } from './traits.ts';

const count = z.number().int().positive();

const ropeSchema = z.object({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: count.optional(),
  beta_fast: z.number().positive().nullish(),
  beta_slow: z.number().positive().nullish(),
  attention_factor: z.number().positive().nullish(),
});
type RopeFields = z.infer<typeof ropeSchema>;

const configSchema = z.object({
  model_type: z.string(),
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  max_position_embeddings: count,
  vocab_size: count,
  rms_norm_eps: z.number().positive().optional(),
  hidden_act: z.string().optional(),
  tie_word_embeddings: z.boolean().optional(),
  attention_bias: z.boolean().optional(),
  mlp_bias: z.boolean().optional(),
  clip_qkv: z.number().positive().nullish(),
  sliding_window: count.nullish(),
  use_sliding_window: z.boolean().optional(),
  rope_theta: z.number().positive().optional(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
  // experts
  num_local_experts: count.optional(),
  num_experts: count.optional(),
  num_experts_per_tok: count.optional(),
  moe_intermediate_size: count.optional(),
  shared_expert_intermediate_size: count.optional(),
  norm_topk_prob: z.boolean().optional(),
  router_aux_loss_coef: z.number().nonnegative().optional(),
  decoder_sparse_step: count.optional(),
  mlp_only_layers: z.array(z.number()).nullish(),
});
type Fields = z.infer<typeof configSchema>;

const ACTIVATIONS: Readonly<Record<string, string>> = {
  silu: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu-tanh',
  gelu_pytorch_tanh: 'gelu-tanh',
};

/** @throws config_invalid for another model type, missing fields, or what the family cannot do */
export function llamaConfig(family: Family, modelType: string, value: unknown, where: string): ModelConfig {
  const file = parseConfig(configSchema, value, where);
  if (file.model_type !== modelType && !(modelType === 'llama' && file.model_type === 'mistral')) {
    throw refused(where, `its model_type is ${file.model_type}, not ${modelType}`);
  }
  // Llama's attention_bias puts one on the output projection, too; those of Qwen 2 are not told by its config.
  if (file.attention_bias && !traitsOf(family).qkvBias) {
    throw refused(where, 'its attention has biases on all projections (attention_bias)');
  }
  if (file.mlp_bias) throw refused(where, 'its feed-forward layers have biases (mlp_bias)');
  if ((file.decoder_sparse_step ?? 1) !== 1 || (file.mlp_only_layers ?? []).length > 0) {
    throw refused(where, 'only some of its layers have experts (decoder_sparse_step, mlp_only_layers)');
  }
  const rope = file.rope_parameters ?? file.rope_scaling;
  const windowed = family.startsWith('qwen') ? file.use_sliding_window === true : true;
  const shape = {
    family,
    vocabSize: file.vocab_size,
    dModel: file.hidden_size,
    numLayers: file.num_hidden_layers,
    numHeads: file.num_attention_heads,
    kvHeads: file.num_key_value_heads ?? file.num_attention_heads,
    ...(file.head_dim ? { headDim: file.head_dim } : {}),
    maxSeqLen: file.max_position_embeddings,
    ropeTheta: rope?.rope_theta ?? file.rope_theta ?? 10_000,
    ropeScaling: scalingOf(rope, file.max_position_embeddings, where),
    normEpsilon: file.rms_norm_eps ?? traitsOf(family).normEpsilon,
    clipQkv: file.clip_qkv ?? null,
    slidingWindow: windowed ? (file.sliding_window ?? null) : null,
    tieEmbeddings: file.tie_word_embeddings ?? false,
    ffn: expertsOf(family, file, where),
  };
  return completeModelConfig(parseConfig(modelConfigSchema, shape, where));
}

function expertsOf(family: Family, file: Fields, where: string) {
  const { experts, hasSharedExpert, activation, normalizeWeights } = traitsOf(family);
  const act = file.hidden_act ?? activation;
  if (!Object.hasOwn(ACTIVATIONS, act)) throw refused(where, `its activation ${act} is not known`);
  const common = { activation: ACTIVATIONS[act] };
  if (experts === 'none') return { ...common, hidden: file.intermediate_size };
  return {
    ...common,
    hidden: file.moe_intermediate_size ?? file.intermediate_size,
    numExperts: file.num_local_experts ?? file.num_experts ?? 1,
    topK: file.num_experts_per_tok ?? 1,
    lossWeight: file.router_aux_loss_coef ?? 0.001,
    normalizeWeights: file.norm_topk_prob ?? normalizeWeights,
    ...(hasSharedExpert && file.shared_expert_intermediate_size
      ? { sharedHidden: file.shared_expert_intermediate_size }
      : {}),
  };
}

function scalingOf(
  rope: RopeFields | null | undefined,
  maxSeqLen: number,
  where: string,
): RopeScaling | null {
  const type = rope?.rope_type ?? rope?.type ?? 'default';
  if (!rope || type === 'default') return null;
  const { factor = 1, original_max_position_embeddings: originalMaxSeqLen = maxSeqLen } = rope;
  if (type === 'linear') return { kind: type, factor };
  if (type === 'llama3') {
    const { low_freq_factor: lowFreqFactor = 1, high_freq_factor: highFreqFactor = 4 } = rope;
    return { kind: type, factor, lowFreqFactor, highFreqFactor, originalMaxSeqLen };
  }
  if (type === 'yarn') {
    const attention = rope.attention_factor ? { attentionFactor: rope.attention_factor } : {};
    const betas = { betaFast: rope.beta_fast ?? 32, betaSlow: rope.beta_slow ?? 1 };
    return { kind: type, factor, originalMaxSeqLen, ...betas, ...attention };
  }
  throw refused(where, `its positions are stretched by ${type}, which is not known`);
}

export function writeLlamaConfig(
  config: ModelConfig,
  modelType: string,
  architectureClass: string,
): Record<string, unknown> {
  const { ffn, family } = config;
  const { experts, hasSharedExpert } = traitsOf(family);
  const isMixtral = family === 'mixtral';
  const numExperts = isMixtral ? 'num_local_experts' : 'num_experts';
  const hasOwnHidden = modelType === 'qwen2_moe' || modelType === 'qwen3_moe';
  // Llama with a sliding window is called Mistral.
  const isMistral = family === 'llama' && config.slidingWindow !== null;
  return {
    architectures: [isMistral ? 'MistralForCausalLM' : architectureClass],
    model_type: isMistral ? 'mistral' : modelType,
    hidden_size: config.dModel,
    intermediate_size: ffn.hidden,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.kvHeads,
    ...(family === 'olmoe' || family.startsWith('qwen2') ? {} : { head_dim: config.headDim }),
    max_position_embeddings: config.maxSeqLen,
    vocab_size: config.vocabSize,
    rms_norm_eps: config.normEpsilon,
    hidden_act: huggingFaceActivation(ffn.activation),
    tie_word_embeddings: config.tieEmbeddings,
    ...(family === 'olmoe' ? { clip_qkv: config.clipQkv } : {}),
    ...(isMistral || isMixtral ? { sliding_window: config.slidingWindow } : {}),
    ...(family.startsWith('qwen')
      ? { use_sliding_window: config.slidingWindow !== null, sliding_window: config.slidingWindow }
      : {}),
    rope_theta: config.ropeTheta,
    rope_scaling: huggingFaceScaling(config.ropeScaling),
    ...(experts === 'some' ? { [numExperts]: ffn.numExperts, num_experts_per_tok: ffn.topK } : {}),
    ...(hasOwnHidden
      ? { moe_intermediate_size: ffn.hidden, decoder_sparse_step: 1, mlp_only_layers: [] }
      : {}),
    ...(hasSharedExpert ? { shared_expert_intermediate_size: ffn.sharedHidden } : {}),
    ...(experts === 'some' && !isMixtral ? { norm_topk_prob: ffn.normalizeWeights } : {}),
    ...(experts === 'some' ? { output_router_logits: false, router_aux_loss_coef: ffn.lossWeight } : {}),
    initializer_range: 0.02,
    use_cache: true,
    torch_dtype: 'float32',
  };
}

export function huggingFaceActivation(activation: string): string {
  return activation === 'gelu-tanh' ? 'gelu_pytorch_tanh' : activation;
}

function huggingFaceScaling(scaling: RopeScaling | null): Record<string, unknown> | null {
  if (!scaling) return null;
  const { kind: type, factor } = scaling;
  if (type === 'linear') return { rope_type: type, factor };
  const original = { original_max_position_embeddings: scaling.originalMaxSeqLen };
  if (type === 'llama3') {
    const { lowFreqFactor, highFreqFactor } = scaling;
    return {
      rope_type: type,
      factor,
      low_freq_factor: lowFreqFactor,
      high_freq_factor: highFreqFactor,
      ...original,
    };
  }
  const { betaFast, betaSlow, attentionFactor } = scaling;
  const attention = attentionFactor === undefined ? {} : { attention_factor: attentionFactor };
  return { rope_type: type, factor, beta_fast: betaFast, beta_slow: betaSlow, ...original, ...attention };
}

export function refused(where: string, problem: string): DabarexError {
  return new DabarexError('config_invalid', `${where}: ${problem}. Use another checkpoint.`, {
    where,
    problem,
  });
}
