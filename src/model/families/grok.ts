/**
 * Grok-1 (xAI 2024): eight experts of which two, norms before and after attention and experts, scores capped at 30, embeddings and logits
 * scaled. Names are those of the two conversions to Hugging Face's layout: hpcai-tech/grok-1 (written here) and the one that
 * inference servers load. GGUF's `grok`.
 */
import { z } from 'zod';
import { parseConfig } from '../../base/index.ts';
import { completeModelConfig, type ModelConfig, modelConfigSchema } from '../config.ts';
import type { FamilyFormats, Layout } from './formats.ts';
import { baseSettings, f32, floatOf, ggufShape, numberOf, u32 } from './gguf-settings.ts';
import { completeShape } from './gguf-shape.ts';
import { expertsOf, ggufLayout, LayoutBuilder } from './layout.ts';
import { traitsOf } from './traits.ts';

const count = z.number().int().positive();

const configSchema = z.object({
  model_type: z.literal('grok-1'),
  hidden_size: count,
  intermediate_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  max_position_embeddings: count,
  vocab_size: count,
  rms_norm_eps: z.number().positive().optional(),
  rope_theta: z.number().positive().optional(),
  num_experts: count.optional(),
  num_local_experts: count.optional(),
  num_experts_per_tok: count.optional(),
  max_attn_value: z.number().positive().optional(),
  attn_logit_softcapping: z.number().positive().optional(),
  embedding_multiplier_scale: z.number().positive().optional(),
  output_multiplier_scale: z.number().positive().optional(),
  tie_word_embeddings: z.boolean().optional(),
  router_aux_loss_coef: z.number().nonnegative().optional(),
});

function readConfig(value: unknown, where: string): ModelConfig {
  const file = parseConfig(configSchema, value, where);
  const { scoreCap, embeddingScale, logitScale } = traitsOf('grok-1');
  const shape = {
    family: 'grok-1',
    vocabSize: file.vocab_size,
    dModel: file.hidden_size,
    numLayers: file.num_hidden_layers,
    numHeads: file.num_attention_heads,
    kvHeads: file.num_key_value_heads ?? file.num_attention_heads,
    maxSeqLen: file.max_position_embeddings,
    ropeTheta: file.rope_theta ?? 10_000,
    normEpsilon: file.rms_norm_eps ?? 1e-5,
    scoreCap: file.max_attn_value ?? file.attn_logit_softcapping ?? scoreCap,
    embeddingScale: file.embedding_multiplier_scale ?? embeddingScale,
    logitScale: file.output_multiplier_scale ?? logitScale,
    tieEmbeddings: file.tie_word_embeddings ?? true,
    ffn: {
      hidden: file.intermediate_size,
      numExperts: file.num_experts ?? file.num_local_experts ?? 8,
      topK: file.num_experts_per_tok ?? 2,
      lossWeight: file.router_aux_loss_coef ?? 0.001,
    },
  };
  return completeModelConfig(parseConfig(modelConfigSchema, shape, where));
}

function writeConfig(config: ModelConfig): Record<string, unknown> {
  const { ffn } = config;
  return {
    architectures: ['Grok1ModelForCausalLM'],
    model_type: 'grok-1',
    hidden_size: config.dModel,
    intermediate_size: ffn.hidden,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.kvHeads,
    max_position_embeddings: config.maxSeqLen,
    vocab_size: config.vocabSize,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.ropeTheta,
    num_experts: ffn.numExperts,
    num_experts_per_tok: ffn.topK,
    attn_output_multiplier: 1 / Math.sqrt(config.headDim),
    max_attn_value: config.scoreCap,
    embedding_multiplier_scale: config.embeddingScale,
    output_multiplier_scale: config.logitScale,
    output_router_logits: false,
    router_aux_loss_coef: ffn.lossWeight,
    tie_word_embeddings: config.tieEmbeddings,
    use_cache: true,
    torch_dtype: 'float32',
  };
}

interface Names {
  readonly attention: string;
  readonly router: string;
  readonly experts: string;
  /** gate, up and down of an expert */
  readonly parts: readonly [gate: string, up: string, down: string];
  readonly norm: string;
}

const COLOSSAL: Names = {
  attention: 'attn',
  router: 'moe_block.gate',
  experts: 'moe_block.experts',
  parts: ['linear', 'linear_v', 'linear_1'],
  norm: 'scale',
};
const SERVERS: Names = {
  attention: 'self_attn',
  router: 'block_sparse_moe.gate',
  experts: 'block_sparse_moe.experts',
  parts: ['w1', 'w3', 'w2'],
  norm: 'weight',
};
const NORMS = [
  ['pre_attn_norm', 'norm_1', 'attn_norm'],
  ['post_attn_norm', 'post_norm_1', 'attn_output_norm'],
  ['pre_moe_norm', 'norm_2', 'ffn_norm'],
  ['post_moe_norm', 'post_norm_2', 'layer_output_norm'],
] as const;

function huggingFace(names: Names): Layout {
  return (config) => {
    const layout = new LayoutBuilder(config);
    layout.add('model.embed_tokens.weight', 'embedding');
    for (let i = 0; i < config.numLayers; i++) {
      const [theirs, own] = [`model.layers.${i}`, `blocks.${i}`];
      for (const [name, piece] of NORMS) layout.add(`${theirs}.${name}.${names.norm}`, `${own}.${piece}`);
      for (const part of ['q', 'k', 'v']) {
        layout.add(`${theirs}.${names.attention}.${part}_proj.weight`, `${own}.attention.${part}`);
      }
      layout.add(`${theirs}.${names.attention}.o_proj.weight`, `${own}.attention.out`);
      layout.add(`${theirs}.${names.router}.weight`, `${own}.experts.router`);
      for (let e = 0; e < config.ffn.numExperts; e++) {
        const [gate, up, down] = names.parts.map((part) => `${theirs}.${names.experts}.${e}.${part}.weight`);
        layout.add(gate!, `${own}.experts.${e}.gate`);
        layout.add(up!, `${own}.experts.${e}.up`);
        layout.addTurned(down!, `${own}.experts.${e}.down`);
      }
    }
    layout.add(`model.norm.${names.norm}`, 'norm_f');
    if (!config.tieEmbeddings) layout.add('lm_head.weight', 'head');
    return layout.tensors;
  };
}

const gguf: Layout = (config) => {
  const layout = ggufLayout(config);
  for (let i = 0; i < config.numLayers; i++) {
    const [theirs, own] = [`blk.${i}`, `blocks.${i}`];
    for (const [, piece, name] of NORMS) layout.add(`${theirs}.${name}.weight`, `${own}.${piece}`);
    for (const part of ['q', 'k', 'v'])
      layout.add(`${theirs}.attn_${part}.weight`, `${own}.attention.${part}`);
    layout.add(`${theirs}.attn_output.weight`, `${own}.attention.out`);
    layout.add(`${theirs}.ffn_gate_inp.weight`, `${own}.experts.router`);
    layout.addStacked(`${theirs}.ffn_gate_exps.weight`, expertsOf(config, own, 'gate'));
    layout.addStacked(`${theirs}.ffn_up_exps.weight`, expertsOf(config, own, 'up'));
    layout.addStacked(`${theirs}.ffn_down_exps.weight`, expertsOf(config, own, 'down'), true);
  }
  return layout.tensors;
};

export const grok: FamilyFormats = {
  family: 'grok-1',
  huggingFace: {
    modelType: 'grok-1',
    readConfig,
    writeConfig,
    layouts: [huggingFace(COLOSSAL), huggingFace(SERVERS)],
  },
  gguf: {
    architecture: 'grok',
    readConfig(file) {
      const { scoreCap, embeddingScale, logitScale } = traitsOf('grok-1');
      const may = (key: string, otherwise: number) => floatOf(file, `grok.${key}`) ?? otherwise;
      const shape = ggufShape(file, 'grok', 'grok-1');
      return completeShape(file, {
        ...shape,
        normEpsilon: numberOf(file, 'grok.attention.layer_norm_rms_epsilon'),
        scoreCap: may('attn_logit_softcapping', scoreCap!),
        embeddingScale: may('embedding_scale', embeddingScale),
        logitScale: may('logit_scale', logitScale),
        ffn: { ...shape.ffn, hidden: may('expert_feed_forward_length', shape.ffn.hidden) },
      });
    },
    *writeConfig(config) {
      yield* baseSettings(config, 'grok');
      yield ['grok.attention.layer_norm_rms_epsilon', f32(config.normEpsilon)];
      yield ['grok.expert_feed_forward_length', u32(config.ffn.hidden)];
      yield ['grok.attn_logit_softcapping', f32(config.scoreCap!)];
      yield ['grok.attention.output_scale', f32(1 / Math.sqrt(config.headDim))];
      yield ['grok.embedding_scale', f32(config.embeddingScale)];
      yield ['grok.logit_scale', f32(config.logitScale)];
    },
    layouts: [gguf],
  },
};
