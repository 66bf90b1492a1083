/**
 * GPT-2 (Radford et al. 2019): a trained vector for every position, biases everywhere, a plain feed-forward layer.
 * Trap kept here: its matrices are stored [inputs, outputs] (Conv1D), transposed to what all others do. Files of the first releases
 * lack the prefix `transformer.`.
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

const configSchema = z.object({
  model_type: z.literal('gpt2'),
  n_embd: count,
  n_layer: count,
  n_head: count,
  n_positions: count.optional(),
  n_ctx: count.optional(),
  n_inner: count.nullish(),
  vocab_size: count,
  layer_norm_epsilon: z.number().positive().optional(),
  activation_function: z.string().optional(),
  tie_word_embeddings: z.boolean().optional(),
  scale_attn_weights: z.boolean().optional(),
  scale_attn_by_inverse_layer_idx: z.boolean().optional(),
});

const ACTIVATIONS: Readonly<Record<string, 'gelu' | 'gelu-tanh'>> = {
  gelu: 'gelu',
  gelu_new: 'gelu-tanh',
  gelu_pytorch_tanh: 'gelu-tanh',
};

function readConfig(value: unknown, where: string): ModelConfig {
  const file = parseConfig(configSchema, value, where);
  const activation = ACTIVATIONS[file.activation_function ?? 'gelu_new'];
  if (!activation) throw refused(where, `its activation ${file.activation_function} is not known`);
  if (file.scale_attn_weights === false || file.scale_attn_by_inverse_layer_idx) {
    throw refused(where, 'its attention is scaled in another way (scale_attn_…)');
  }
  const shape = {
    family: 'gpt2',
    vocabSize: file.vocab_size,
    dModel: file.n_embd,
    numLayers: file.n_layer,
    numHeads: file.n_head,
    maxSeqLen: file.n_positions ?? file.n_ctx ?? 1024,
    normEpsilon: file.layer_norm_epsilon ?? 1e-5,
    tieEmbeddings: file.tie_word_embeddings ?? true,
    ffn: { hidden: file.n_inner ?? 4 * file.n_embd, activation },
  };
  return completeModelConfig(parseConfig(modelConfigSchema, shape, where));
}

function writeConfig(config: ModelConfig): Record<string, unknown> {
  return {
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    n_embd: config.dModel,
    n_layer: config.numLayers,
    n_head: config.numHeads,
    n_positions: config.maxSeqLen,
    n_inner: config.ffn.hidden,
    vocab_size: config.vocabSize,
    layer_norm_epsilon: config.normEpsilon,
    activation_function: config.ffn.activation === 'gelu' ? 'gelu' : 'gelu_new',
    attn_pdrop: 0,
    embd_pdrop: 0,
    resid_pdrop: 0,
    initializer_range: 0.02,
    tie_word_embeddings: config.tieEmbeddings,
    use_cache: true,
    torch_dtype: 'float32',
  };
}

function huggingFace(prefix: string): Layout {
  return (config) => {
    const layout = new LayoutBuilder(config);
    layout.add(`${prefix}wte.weight`, 'embedding');
    layout.add(`${prefix}wpe.weight`, 'positions');
    for (let i = 0; i < config.numLayers; i++) {
      const [theirs, own] = [`${prefix}h.${i}`, `blocks.${i}`];
      const matrix = (name: string, pieces: readonly string[]) => {
        layout.addJoined(`${theirs}.${name}.weight`, pieces, true);
        layout.addJoined(
          `${theirs}.${name}.bias`,
          pieces.map((piece) => `${piece}.bias`),
        );
      };
      layout.addWithBias(`${theirs}.ln_1`, `${own}.norm_1`);
      matrix(
        'attn.c_attn',
        ['q', 'k', 'v'].map((part) => `${own}.attention.${part}`),
      );
      matrix('attn.c_proj', [`${own}.attention.out`]);
      layout.addWithBias(`${theirs}.ln_2`, `${own}.norm_2`);
      matrix('mlp.c_fc', [`${own}.mlp.up`]);
      matrix('mlp.c_proj', [`${own}.mlp.down`]);
    }
    layout.addWithBias(`${prefix}ln_f`, 'norm_f');
    if (!config.tieEmbeddings) layout.add('lm_head.weight', 'head');
    return layout.tensors;
  };
}

const gguf: Layout = (config) => {
  const layout = ggufLayout(config);
  layout.add('position_embd.weight', 'positions');
  for (let i = 0; i < config.numLayers; i++) {
    const [theirs, own] = [`blk.${i}`, `blocks.${i}`];
    const qkv = ['q', 'k', 'v'].map((part) => `${own}.attention.${part}`);
    layout.addWithBias(`${theirs}.attn_norm`, `${own}.norm_1`);
    layout.addJoined(`${theirs}.attn_qkv.weight`, qkv);
    layout.addJoined(
      `${theirs}.attn_qkv.bias`,
      qkv.map((piece) => `${piece}.bias`),
    );
    layout.addWithBias(`${theirs}.attn_output`, `${own}.attention.out`);
    layout.addWithBias(`${theirs}.ffn_norm`, `${own}.norm_2`);
    layout.addWithBias(`${theirs}.ffn_up`, `${own}.mlp.up`);
    layout.addWithBias(`${theirs}.ffn_down`, `${own}.mlp.down`);
  }
  return layout.tensors;
};

export const gpt2: FamilyFormats = {
  family: 'gpt2',
  huggingFace: {
    modelType: 'gpt2',
    readConfig,
    writeConfig,
    layouts: [huggingFace('transformer.'), huggingFace('')],
  },
  gguf: {
    architecture: 'gpt2',
    readConfig(file) {
      const { headDim: _, ropeScaling: __, ropeTheta: ___, ...shape } = ggufShape(file, 'gpt2', 'gpt2');
      return completeShape(file, {
        ...shape,
        normEpsilon: floatOf(file, 'gpt2.attention.layer_norm_epsilon') ?? 1e-5,
      });
    },
    *writeConfig(config) {
      yield* baseSettings(config, 'gpt2');
      yield ['gpt2.attention.layer_norm_epsilon', f32(config.normEpsilon)];
    },
    layouts: [gguf],
    unfit: ({ ffn }) =>
      ffn.activation === 'gelu-tanh'
        ? undefined
        : `its feed-forward layer uses ${ffn.activation}, not gelu-tanh`,
  },
};
