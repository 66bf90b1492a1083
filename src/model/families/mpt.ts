/**
 * MPT (MosaicML 2023): ALiBi in place of positions, layer norms without bias, a plain feed-forward layer, embeddings tied.
 * Limits: configurations with biases, learned positions, rotation, q/k norms, a prefix LM or a softmax scale of their own are refused.
 * llama.cpp computes its GELU by tanh where MPT has the exact one: up to 5e-4 apart.
 */
import { z } from 'zod';
import { parseConfig } from '../../base/index.ts';
import { completeModelConfig, type ModelConfig, modelConfigSchema } from '../config.ts';
import type { FamilyFormats, Layout } from './formats.ts';
import { baseSettings, f32, floatOf, ggufShape } from './gguf-settings.ts';
import { completeShape } from './gguf-shape.ts';
import { ggufLayout, LayoutBuilder } from './layout.ts';
import { refused } from './llama-config.ts';

const count = z.number().int().positive();
/** of ALiBi's slopes */
const MAX_BIAS = 8;

const configSchema = z.object({
  model_type: z.literal('mpt'),
  d_model: count,
  n_heads: count,
  n_layers: count,
  expansion_ratio: z.number().positive().optional(),
  max_seq_len: count,
  vocab_size: count,
  no_bias: z.boolean().optional(),
  learned_pos_emb: z.boolean().optional(),
  layer_norm_epsilon: z.number().positive().optional(),
  logit_scale: z.union([z.number(), z.string()]).nullish(),
  tie_word_embeddings: z.boolean().optional(),
  ffn_config: z
    .object({
      ffn_type: z.string().optional(),
      ffn_act_fn: z.object({ name: z.string(), approximate: z.string().optional() }).nullish(),
    })
    .optional(),
  attn_config: z
    .object({
      alibi: z.boolean().optional(),
      alibi_bias_max: z.number().optional(),
      clip_qkv: z.number().positive().nullish(),
      qk_ln: z.boolean().optional(),
      prefix_lm: z.boolean().optional(),
      softmax_scale: z.number().nullish(),
      rope: z.boolean().optional(),
      attn_type: z.string().optional(),
      kv_n_heads: count.optional(),
    })
    .optional(),
});

function readConfig(value: unknown, where: string): ModelConfig {
  const file = parseConfig(configSchema, value, where);
  const attention = file.attn_config ?? {};
  const activation = file.ffn_config?.ffn_act_fn ?? { name: 'gelu' };
  const wants: [boolean, string][] = [
    [!attention.alibi, 'its positions are not told by ALiBi'],
    [(attention.alibi_bias_max ?? MAX_BIAS) !== MAX_BIAS, `its alibi_bias_max is not ${MAX_BIAS}`],
    [file.no_bias === false, 'its layers have biases (no_bias: false)'],
    [attention.qk_ln === true, 'its queries and keys are normed (qk_ln)'],
    [attention.prefix_lm === true, 'it attends forward in its prefix (prefix_lm)'],
    [(attention.softmax_scale ?? null) !== null, 'its softmax has a scale of its own'],
    [(file.logit_scale ?? null) !== null, 'its logits have a scale'],
    [
      (file.ffn_config?.ffn_type ?? 'mptmlp') !== 'mptmlp',
      'its feed-forward layers are not of the type mptmlp',
    ],
    [activation.name !== 'gelu', `its activation is ${activation.name}, not gelu`],
  ];
  for (const [is, problem] of wants) if (is) throw refused(where, problem);
  const shape = {
    family: 'mpt',
    vocabSize: file.vocab_size,
    dModel: file.d_model,
    numLayers: file.n_layers,
    numHeads: file.n_heads,
    kvHeads: attention.attn_type === 'multiquery_attention' ? 1 : (attention.kv_n_heads ?? file.n_heads),
    maxSeqLen: file.max_seq_len,
    clipQkv: attention.clip_qkv ?? null,
    normEpsilon: file.layer_norm_epsilon ?? 1e-5,
    tieEmbeddings: file.tie_word_embeddings ?? true,
    ffn: {
      hidden: Math.round((file.expansion_ratio ?? 4) * file.d_model),
      activation: activation.approximate === 'tanh' ? 'gelu-tanh' : 'gelu',
    },
  };
  return completeModelConfig(parseConfig(modelConfigSchema, shape, where));
}

function writeConfig(config: ModelConfig): Record<string, unknown> {
  const grouped = config.kvHeads !== config.numHeads;
  return {
    architectures: ['MPTForCausalLM'],
    model_type: 'mpt',
    d_model: config.dModel,
    n_heads: config.numHeads,
    n_layers: config.numLayers,
    expansion_ratio: config.ffn.hidden / config.dModel,
    max_seq_len: config.maxSeqLen,
    vocab_size: config.vocabSize,
    no_bias: true,
    learned_pos_emb: true,
    layer_norm_epsilon: config.normEpsilon,
    tie_word_embeddings: config.tieEmbeddings,
    attn_config: {
      alibi: true,
      alibi_bias_max: MAX_BIAS,
      attn_type: grouped ? 'grouped_query_attention' : 'multihead_attention',
      ...(grouped ? { kv_n_heads: config.kvHeads } : {}),
      clip_qkv: config.clipQkv,
    },
    ffn_config: {
      ffn_type: 'mptmlp',
      ffn_act_fn: { name: 'gelu', approximate: config.ffn.activation === 'gelu' ? 'none' : 'tanh' },
    },
    use_cache: true,
    torch_dtype: 'float32',
  };
}

const qkvOf = (own: string) => ['q', 'k', 'v'].map((part) => `${own}.attention.${part}`);

const huggingFace: Layout = (config) => {
  const layout = new LayoutBuilder(config);
  layout.add('transformer.wte.weight', 'embedding');
  for (let i = 0; i < config.numLayers; i++) {
    const [theirs, own] = [`transformer.blocks.${i}`, `blocks.${i}`];
    layout.add(`${theirs}.norm_1.weight`, `${own}.norm_1`);
    layout.addJoined(`${theirs}.attn.Wqkv.weight`, qkvOf(own));
    layout.add(`${theirs}.attn.out_proj.weight`, `${own}.attention.out`);
    layout.add(`${theirs}.norm_2.weight`, `${own}.norm_2`);
    layout.add(`${theirs}.ffn.up_proj.weight`, `${own}.mlp.up`);
    layout.add(`${theirs}.ffn.down_proj.weight`, `${own}.mlp.down`);
  }
  layout.add('transformer.norm_f.weight', 'norm_f');
  if (!config.tieEmbeddings) layout.add('lm_head.weight', 'head');
  return layout.tensors;
};

const gguf: Layout = (config) => {
  const layout = ggufLayout(config);
  for (let i = 0; i < config.numLayers; i++) {
    const [theirs, own] = [`blk.${i}`, `blocks.${i}`];
    layout.add(`${theirs}.attn_norm.weight`, `${own}.norm_1`);
    layout.addJoined(`${theirs}.attn_qkv.weight`, qkvOf(own));
    layout.add(`${theirs}.attn_output.weight`, `${own}.attention.out`);
    layout.add(`${theirs}.ffn_norm.weight`, `${own}.norm_2`);
    layout.add(`${theirs}.ffn_up.weight`, `${own}.mlp.up`);
    layout.add(`${theirs}.ffn_down.weight`, `${own}.mlp.down`);
  }
  return layout.tensors;
};

export const mpt: FamilyFormats = {
  family: 'mpt',
  huggingFace: { modelType: 'mpt', readConfig, writeConfig, layouts: [huggingFace] },
  gguf: {
    architecture: 'mpt',
    readConfig(file) {
      const { headDim: _, ropeScaling: __, ropeTheta: ___, ...shape } = ggufShape(file, 'mpt', 'mpt');
      const clamp = floatOf(file, 'mpt.attention.clamp_kqv') ?? 0;
      return completeShape(file, {
        ...shape,
        clipQkv: clamp > 0 ? clamp : null,
        normEpsilon: floatOf(file, 'mpt.attention.layer_norm_epsilon') ?? 1e-5,
      });
    },
    *writeConfig(config) {
      yield* baseSettings(config, 'mpt');
      yield ['mpt.attention.layer_norm_epsilon', f32(config.normEpsilon)];
      yield ['mpt.attention.max_alibi_bias', f32(MAX_BIAS)];
      if (config.clipQkv !== null) yield ['mpt.attention.clamp_kqv', f32(config.clipQkv)];
    },
    layouts: [gguf],
  },
};
