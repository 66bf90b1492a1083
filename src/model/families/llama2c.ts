/** Llama's weights as llama2.c names them, in Meta's order: rows of q and k in pairs. @see karpathy/llama2.c, export.py version 0 */
import { parseConfig } from '../../base/index.ts';
import type { Llama2cFile } from '../../checkpoint/index.ts';
import { completeModelConfig, type ModelConfig, modelConfigSchema } from '../config.ts';
import type { Layout } from './formats.ts';
import { LayoutBuilder } from './layout.ts';

export function llama2cModelConfig({ path, config }: Llama2cFile): ModelConfig {
  const shape = {
    family: 'llama',
    vocabSize: config.vocabSize,
    dModel: config.dim,
    numLayers: config.numLayers,
    numHeads: config.numHeads,
    kvHeads: config.numKvHeads,
    maxSeqLen: config.seqLen,
    tieEmbeddings: config.tied,
    ffn: { hidden: config.hiddenDim },
  };
  return completeModelConfig(parseConfig(modelConfigSchema, shape, path));
}

export const llama2cLayout: Layout = (config) => {
  const layout = new LayoutBuilder(config);
  layout.add('tok_embeddings.weight', 'embedding');
  for (let i = 0; i < config.numLayers; i++) {
    const [theirs, own] = [`layers.${i}`, `blocks.${i}`];
    layout.add(`${theirs}.attention_norm.weight`, `${own}.norm_1`);
    layout.addPaired(`${theirs}.attention.wq.weight`, `${own}.attention.q`, config.headDim);
    layout.addPaired(`${theirs}.attention.wk.weight`, `${own}.attention.k`, config.headDim);
    layout.add(`${theirs}.attention.wv.weight`, `${own}.attention.v`);
    layout.add(`${theirs}.attention.wo.weight`, `${own}.attention.out`);
    layout.add(`${theirs}.ffn_norm.weight`, `${own}.norm_2`);
    layout.add(`${theirs}.feed_forward.w1.weight`, `${own}.experts.0.gate`);
    layout.addTurned(`${theirs}.feed_forward.w2.weight`, `${own}.experts.0.down`);
    layout.add(`${theirs}.feed_forward.w3.weight`, `${own}.experts.0.up`);
  }
  layout.add('norm.weight', 'norm_f');
  if (!config.tieEmbeddings) layout.add('output.weight', 'head');
  return layout.tensors;
};
