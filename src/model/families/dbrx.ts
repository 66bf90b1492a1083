/**
 * The DBRX family on disk: Hugging Face's config.json and tensor names (databricks/dbrx, transformers 4.40).
 * Traps kept here: experts are fused [E·F, D] tensors without ".weight"; w1 is the gate, v1 the up and w2 the down
 * projection stored [F, D], i.e. y = h · w2. Tied embeddings are an addition of ours, written as other families do
 * (`tie_word_embeddings`, no lm_head.weight): Hugging Face's DBRX class refuses such a folder.
 */
import { z } from 'zod';
import { parseConfig } from '../../base/index.ts';
import type { FloatArray, Parameter } from '../../tensor/index.ts';
import { type ModelConfig, modelConfigSchema } from '../config.ts';

/** One tensor of the file, a view of (a part of) a parameter's values. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** the parts of the parameter that make up the tensor, in order; views, not copies */
  readonly parts: readonly FloatArray[];
}

const attentionSchema = z.object({
  clip_qkv: z.number().nullable().optional(),
  kv_n_heads: z.number().int().positive(),
  rope_theta: z.number().positive(),
});

const ffnSchema = z.object({
  ffn_hidden_size: z.number().int().positive(),
  moe_num_experts: z.number().int().positive(),
  moe_top_k: z.number().int().positive(),
  moe_loss_weight: z.number().nonnegative().optional(),
  moe_normalize_expert_weights: z.number().nullable().optional(),
  ffn_act_fn: z.object({ name: z.enum(['silu', 'gelu']) }).optional(),
});

const configSchema = z.object({
  model_type: z.literal('dbrx'),
  d_model: z.number().int().positive(),
  n_heads: z.number().int().positive(),
  n_layers: z.number().int().positive(),
  max_seq_len: z.number().int().positive(),
  vocab_size: z.number().int().positive(),
  tie_word_embeddings: z.boolean().optional(),
  attn_config: attentionSchema,
  ffn_config: ffnSchema,
});

/** config.json of a model; only the keys that the published configuration class accepts. */
export function toHuggingFaceConfig(config: ModelConfig): Record<string, unknown> {
  const { ffn } = config;
  return {
    architectures: ['DbrxForCausalLM'],
    model_type: 'dbrx',
    d_model: config.dModel,
    n_heads: config.numHeads,
    n_layers: config.numLayers,
    max_seq_len: config.maxSeqLen,
    vocab_size: config.vocabSize,
    attn_config: { clip_qkv: config.clipQkv, kv_n_heads: config.kvHeads, rope_theta: config.ropeTheta },
    ffn_config: {
      ffn_act_fn: { name: ffn.activation },
      ffn_hidden_size: ffn.hidden,
      moe_num_experts: ffn.numExperts,
      moe_top_k: ffn.topK,
      moe_jitter_eps: 0,
      moe_loss_weight: ffn.lossWeight,
      moe_normalize_expert_weights: ffn.normalizeWeights ? 1 : null,
    },
    emb_pdrop: 0,
    resid_pdrop: 0,
    initializer_range: 0.02,
    output_router_logits: false,
    router_aux_loss_coef: ffn.lossWeight,
    tie_word_embeddings: config.tieEmbeddings,
    use_cache: true,
    torch_dtype: 'float32',
  };
}

/**
 * Reads config.json; unknown keys are ignored (published files carry whole dumps).
 * @throws config_invalid for another model type or missing fields
 */
export function fromHuggingFaceConfig(value: unknown, where: string): ModelConfig {
  const file = parseConfig(configSchema, value, where);
  const { attn_config: attention, ffn_config: ffn } = file;
  const config = {
    family: 'dbrx' as const,
    vocabSize: file.vocab_size,
    dModel: file.d_model,
    numLayers: file.n_layers,
    numHeads: file.n_heads,
    kvHeads: attention.kv_n_heads,
    maxSeqLen: file.max_seq_len,
    ropeTheta: attention.rope_theta,
    clipQkv: attention.clip_qkv ?? null,
    tieEmbeddings: file.tie_word_embeddings ?? false,
    ffn: {
      hidden: ffn.ffn_hidden_size,
      numExperts: ffn.moe_num_experts,
      topK: ffn.moe_top_k,
      lossWeight: ffn.moe_loss_weight ?? 0.01,
      normalizeWeights:
        (ffn.moe_normalize_expert_weights ?? 1) !== 0 && ffn.moe_normalize_expert_weights !== null,
      activation: ffn.ffn_act_fn?.name ?? ('silu' as const),
    },
  };
  return parseConfig(modelConfigSchema, config, where) as ModelConfig;
}

/** The tensors of a checkpoint in Hugging Face's names and shapes, over the memory of the model's parameters. */
export function huggingFaceTensors(config: ModelConfig, parameters: readonly Parameter[]): NamedTensor[] {
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter.tensor]));
  const whole = (name: string, own: string): NamedTensor => {
    const tensor = byName.get(own)!;
    return { name, shape: tensor.shape, parts: [tensor.data] };
  };
  const layers = Array.from({ length: config.numLayers }, (_, i) => {
    const [theirs, own] = [`transformer.blocks.${i}`, `blocks.${i}`];
    const outer = `${theirs}.norm_attn_norm`;
    return [
      whole(`${outer}.norm_1.weight`, `${own}.norm_1`),
      whole(`${outer}.attn.Wqkv.weight`, `${own}.attention.qkv`),
      whole(`${outer}.attn.out_proj.weight`, `${own}.attention.out`),
      whole(`${outer}.norm_2.weight`, `${own}.norm_2`),
      whole(`${theirs}.ffn.router.layer.weight`, `${own}.experts.router`),
      ...expertTensors(config, `${theirs}.ffn.experts.mlp`, byName.get(`${own}.experts.gate_up`)!.data),
      flattened(`${theirs}.ffn.experts.mlp.w2`, config, byName.get(`${own}.experts.down`)!.data),
    ];
  });
  return [
    whole('transformer.wte.weight', 'embedding'),
    ...layers.flat(),
    whole('transformer.norm_f.weight', 'norm_f'),
    ...(config.tieEmbeddings ? [] : [whole('lm_head.weight', 'head')]),
  ];
}

/** w1 (gate) and v1 (up), each [E·F, D], out of gate_up [E, 2F, D]. */
function expertTensors(config: ModelConfig, name: string, gateUp: FloatArray): NamedTensor[] {
  const { numExperts, hidden } = config.ffn;
  const half = hidden * config.dModel;
  const parts = (second: number) =>
    Array.from({ length: numExperts }, (_, e) => {
      const start = (2 * e + second) * half;
      return gateUp.subarray(start, start + half);
    });
  const shape = [numExperts * hidden, config.dModel];
  return [
    { name: `${name}.w1`, shape, parts: parts(0) },
    { name: `${name}.v1`, shape, parts: parts(1) },
  ];
}

function flattened(name: string, config: ModelConfig, data: FloatArray): NamedTensor {
  return { name, shape: [config.ffn.numExperts * config.ffn.hidden, config.dModel], parts: [data] };
}
