/**
 * DBRX (Databricks 2024; databricks/dbrx, transformers 4.40 to 4.57).
 * Traps kept here: experts are fused [E·F, D] tensors without ".weight"; w1 is the gate, v1 the up and w2 the down
 * projection stored [F, D], i.e. y = h · w2. Tied embeddings are an addition of ours, written as other families do
 * (`tie_word_embeddings`, no lm_head.weight): Hugging Face's DBRX class refuses such a folder, GGUF has no place for it.
 * llama.cpp clamps q, k and v always and divides experts' weights by their sum always.
 */
import { z } from 'zod';
import { parseConfig } from '../../base/index.ts';
import { completeModelConfig, type ModelConfig, modelConfigSchema } from '../config.ts';
import type { FamilyFormats, GgufDescription, Layout } from './formats.ts';
import { baseSettings, f32, ggufShape, numberOf } from './gguf-settings.ts';
import { expertsOf, ggufLayout, LayoutBuilder } from './layout.ts';

/** What is clamped to it is not changed. */
const NO_CLAMP = 1e30;

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
  moe_normalize_expert_weights: z
    .union([z.literal(0), z.literal(1)])
    .nullable()
    .optional(),
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

function writeConfig(config: ModelConfig): Record<string, unknown> {
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

function readConfig(value: unknown, where: string): ModelConfig {
  const file = parseConfig(configSchema, value, where);
  const { attn_config: attention, ffn_config: ffn } = file;
  const normalize = ffn.moe_normalize_expert_weights;
  const shape = {
    family: 'dbrx',
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
      normalizeWeights: normalize === undefined || normalize === 1,
      activation: ffn.ffn_act_fn?.name ?? 'silu',
    },
  };
  return completeModelConfig(parseConfig(modelConfigSchema, shape, where));
}

/** As published. */
const fused: Layout = (config) => {
  const layout = outer(config);
  for (let i = 0; i < config.numLayers; i++) {
    const [theirs, own] = [`transformer.blocks.${i}`, `blocks.${i}`];
    const attention = `${theirs}.norm_attn_norm.attn`;
    norms(layout, i);
    layout.addJoined(
      `${attention}.Wqkv.weight`,
      ['q', 'k', 'v'].map((part) => `${own}.attention.${part}`),
    );
    layout.add(`${attention}.out_proj.weight`, `${own}.attention.out`);
    layout.add(`${theirs}.ffn.router.layer.weight`, `${own}.experts.router`);
    layout.addJoined(`${theirs}.ffn.experts.mlp.w1`, expertsOf(config, own, 'gate'));
    layout.addJoined(`${theirs}.ffn.experts.mlp.v1`, expertsOf(config, own, 'up'));
    layout.addJoined(`${theirs}.ffn.experts.mlp.w2`, expertsOf(config, own, 'down'));
  }
  return layout.tensors;
};

/** Converted by others: each expert a layer of its own, w2 as [D, F]; q, k and v apart or together. */
const split = (experts: string, qkv: 'apart' | 'together'): Layout => {
  return (config) => {
    const layout = outer(config);
    for (let i = 0; i < config.numLayers; i++) {
      const [theirs, own] = [`transformer.blocks.${i}`, `blocks.${i}`];
      const attention = `${theirs}.norm_attn_norm.attn`;
      const parts = ['q', 'k', 'v'];
      norms(layout, i);
      if (qkv === 'apart') {
        for (const part of parts) {
          layout.add(`${attention}.${part}_proj.weight`, `${own}.attention.${part}`);
        }
      } else {
        layout.addJoined(
          `${attention}.Wqkv.weight`,
          parts.map((part) => `${own}.attention.${part}`),
        );
      }
      layout.add(`${attention}.out_proj.weight`, `${own}.attention.out`);
      layout.add(`${theirs}.ffn.router.layer.weight`, `${own}.experts.router`);
      for (let e = 0; e < config.ffn.numExperts; e++) {
        const [expert, mine] = [`${theirs}.ffn.experts.${experts}${e}`, `${own}.experts.${e}`];
        layout.add(`${expert}.w1.weight`, `${mine}.gate`);
        layout.add(`${expert}.v1.weight`, `${mine}.up`);
        layout.addTurned(`${expert}.w2.weight`, `${mine}.down`);
      }
    }
    return layout.tensors;
  };
};

function outer(config: ModelConfig): LayoutBuilder {
  const layout = new LayoutBuilder(config);
  layout.add('transformer.wte.weight', 'embedding');
  layout.add('transformer.norm_f.weight', 'norm_f');
  if (!config.tieEmbeddings) layout.add('lm_head.weight', 'head');
  return layout;
}

function norms(layout: LayoutBuilder, block: number): void {
  const both = `transformer.blocks.${block}.norm_attn_norm`;
  for (const norm of ['norm_1', 'norm_2']) layout.add(`${both}.${norm}.weight`, `blocks.${block}.${norm}`);
}

const gguf: Layout = (config) => {
  const layout = ggufLayout(config);
  for (let i = 0; i < config.numLayers; i++) {
    const [theirs, own] = [`blk.${i}`, `blocks.${i}`];
    layout.add(`${theirs}.attn_norm.weight`, `${own}.norm_1`);
    layout.addJoined(
      `${theirs}.attn_qkv.weight`,
      ['q', 'k', 'v'].map((part) => `${own}.attention.${part}`),
    );
    layout.add(`${theirs}.attn_output.weight`, `${own}.attention.out`);
    layout.add(`${theirs}.attn_output_norm.weight`, `${own}.norm_2`);
    layout.add(`${theirs}.ffn_gate_inp.weight`, `${own}.experts.router`);
    layout.addStacked(`${theirs}.ffn_gate_exps.weight`, expertsOf(config, own, 'gate'));
    layout.addStacked(`${theirs}.ffn_up_exps.weight`, expertsOf(config, own, 'up'));
    layout.addStacked(`${theirs}.ffn_down_exps.weight`, expertsOf(config, own, 'down'), true);
  }
  return layout.tensors;
};

function readGguf(file: GgufDescription): ModelConfig {
  const clamp = numberOf(file, 'dbrx.attention.clamp_kqv');
  const shape = {
    ...ggufShape(file, 'dbrx', 'dbrx'),
    normEpsilon: numberOf(file, 'dbrx.attention.layer_norm_epsilon'),
    clipQkv: clamp > 0 && clamp < NO_CLAMP ? clamp : null,
    tieEmbeddings: false,
  };
  return completeModelConfig(parseConfig(modelConfigSchema, shape, file.path));
}

export const dbrx: FamilyFormats = {
  family: 'dbrx',
  huggingFace: {
    modelType: 'dbrx',
    readConfig,
    writeConfig,
    layouts: [
      fused,
      split('mlp_experts.', 'apart'),
      split('mlp_experts.', 'together'),
      split('', 'apart'),
      split('', 'together'),
    ],
  },
  gguf: {
    architecture: 'dbrx',
    readConfig: readGguf,
    *writeConfig(config) {
      yield* baseSettings(config, 'dbrx');
      yield ['dbrx.attention.layer_norm_epsilon', f32(config.normEpsilon)];
      yield ['dbrx.attention.clamp_kqv', f32(config.clipQkv ?? NO_CLAMP)];
    },
    layouts: [gguf],
    unfit({ tieEmbeddings, ffn }) {
      if (tieEmbeddings) return 'its embeddings are tied, and GGUF’s dbrx has an output matrix of its own';
      if (ffn.numExperts > 1 && !ffn.normalizeWeights)
        return 'its experts’ weights are not divided by their sum';
      if (ffn.activation !== 'silu') return `its experts use ${ffn.activation}, not silu`;
      return undefined;
    },
  },
};
