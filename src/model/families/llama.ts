/**
 * Llama (Touvron et al. 2023) and what kept its shape: Mistral, SmolLM, Mixtral (Jiang et al. 2024), OLMoE (Muennighoff et al.
 * 2024), Qwen 2 and 3 and their mixtures of experts. They differ in the names of a few settings and tensors.
 * Traps kept here: GGUF's `llama` (and so Mixtral) stores the rows of q and k in pairs, the others as Hugging Face does; Llama 3's
 * stretched positions are a tensor of divisors in GGUF; Qwen 2 has biases on q, k and v only.
 */
import { ggufNumber } from '../../checkpoint/index.ts';
import type { ModelConfig } from '../config.ts';
import type { FamilyFormats, GgufDescription, GgufFormat, Layout } from './formats.ts';
import { baseSettings, f32, ggufShape, numberOf, u32 } from './gguf-settings.ts';
import { completeShape } from './gguf-shape.ts';
import { expertsOf, ggufLayout, LayoutBuilder } from './layout.ts';
import { llamaConfig, writeLlamaConfig } from './llama-config.ts';
import { type Family, traitsOf } from './traits.ts';

/** Names of the tensors of a layer of experts. */
interface ExpertNames {
  readonly router: string;
  readonly prefix: string;
  readonly gate: string;
  readonly up: string;
  readonly down: string;
}

const MIXTRAL: ExpertNames = {
  router: 'block_sparse_moe.gate',
  prefix: 'block_sparse_moe.experts',
  gate: 'w1',
  up: 'w3',
  down: 'w2',
};
const PLAIN: ExpertNames = {
  router: 'mlp.gate',
  prefix: 'mlp.experts',
  gate: 'gate_proj',
  up: 'up_proj',
  down: 'down_proj',
};

function huggingFaceLayout(experts: ExpertNames): Layout {
  return (config) => {
    const layout = new LayoutBuilder(config);
    layout.add('model.embed_tokens.weight', 'embedding');
    for (let i = 0; i < config.numLayers; i++) {
      const [theirs, own] = [`model.layers.${i}`, `blocks.${i}`];
      layout.add(`${theirs}.input_layernorm.weight`, `${own}.norm_1`);
      layout.add(`${theirs}.post_attention_layernorm.weight`, `${own}.norm_2`);
      for (const [name, piece] of [
        ['q_proj', 'q'],
        ['k_proj', 'k'],
        ['v_proj', 'v'],
        ['o_proj', 'out'],
      ] as const) {
        const tensor = `${theirs}.self_attn.${name}`;
        layout.add(`${tensor}.weight`, `${own}.attention.${piece}`);
        if (layout.has(`${own}.attention.${piece}.bias`))
          layout.add(`${tensor}.bias`, `${own}.attention.${piece}.bias`);
      }
      for (const part of ['q', 'k']) {
        const piece = `${own}.attention.${part}_norm`;
        if (layout.has(piece)) layout.add(`${theirs}.self_attn.${part}_norm.weight`, piece);
      }
      addFeedForward(layout, theirs, own, experts);
    }
    layout.add('model.norm.weight', 'norm_f');
    if (!config.tieEmbeddings) layout.add('lm_head.weight', 'head');
    return layout.tensors;
  };
}

function addFeedForward(layout: LayoutBuilder, theirs: string, own: string, names: ExpertNames): void {
  const { numExperts, sharedHidden } = layout.config.ffn;
  if (numExperts === 1) {
    layout.add(`${theirs}.mlp.gate_proj.weight`, `${own}.experts.0.gate`);
    layout.add(`${theirs}.mlp.up_proj.weight`, `${own}.experts.0.up`);
    layout.addTurned(`${theirs}.mlp.down_proj.weight`, `${own}.experts.0.down`);
    return;
  }
  layout.add(`${theirs}.${names.router}.weight`, `${own}.experts.router`);
  for (let e = 0; e < numExperts; e++) {
    const expert = `${theirs}.${names.prefix}.${e}`;
    layout.add(`${expert}.${names.gate}.weight`, `${own}.experts.${e}.gate`);
    layout.add(`${expert}.${names.up}.weight`, `${own}.experts.${e}.up`);
    layout.addTurned(`${expert}.${names.down}.weight`, `${own}.experts.${e}.down`);
  }
  if (sharedHidden === 0) return;
  layout.add(`${theirs}.mlp.shared_expert_gate.weight`, `${own}.experts.shared.gate`);
  layout.add(`${theirs}.mlp.shared_expert.gate_proj.weight`, `${own}.experts.shared.gated`);
  layout.add(`${theirs}.mlp.shared_expert.up_proj.weight`, `${own}.experts.shared.up`);
  layout.add(`${theirs}.mlp.shared_expert.down_proj.weight`, `${own}.experts.shared.down`);
}

/** `stacked`: experts in one tensor; else one by one, as files of before April 2024 have them. */
function ggufLlama(isPaired: boolean, experts: 'stacked' | 'apart'): Layout {
  return (config) => {
    const layout = ggufLayout(config);
    for (let i = 0; i < config.numLayers; i++) {
      const [theirs, own] = [`blk.${i}`, `blocks.${i}`];
      layout.add(`${theirs}.attn_norm.weight`, `${own}.norm_1`);
      for (const part of ['q', 'k', 'v']) {
        const paired = isPaired && part !== 'v';
        for (const [suffix, piece] of [
          ['weight', `${own}.attention.${part}`],
          ['bias', `${own}.attention.${part}.bias`],
        ] as const) {
          if (!layout.has(piece)) continue;
          if (paired) layout.addPaired(`${theirs}.attn_${part}.${suffix}`, piece, config.headDim);
          else layout.add(`${theirs}.attn_${part}.${suffix}`, piece);
        }
        if (layout.has(`${own}.attention.${part}_norm`)) {
          layout.add(`${theirs}.attn_${part}_norm.weight`, `${own}.attention.${part}_norm`);
        }
      }
      layout.add(`${theirs}.attn_output.weight`, `${own}.attention.out`);
      layout.add(`${theirs}.ffn_norm.weight`, `${own}.norm_2`);
      addGgufFeedForward(layout, theirs, own, experts);
    }
    return layout.tensors;
  };
}

function addGgufFeedForward(
  layout: LayoutBuilder,
  theirs: string,
  own: string,
  experts: 'stacked' | 'apart',
): void {
  const { config } = layout;
  const { numExperts, sharedHidden } = config.ffn;
  if (numExperts === 1) {
    layout.add(`${theirs}.ffn_gate.weight`, `${own}.experts.0.gate`);
    layout.add(`${theirs}.ffn_up.weight`, `${own}.experts.0.up`);
    layout.addTurned(`${theirs}.ffn_down.weight`, `${own}.experts.0.down`);
    return;
  }
  layout.add(`${theirs}.ffn_gate_inp.weight`, `${own}.experts.router`);
  for (const part of ['gate', 'up', 'down']) {
    const pieces = expertsOf(config, own, part);
    if (experts === 'stacked')
      layout.addStacked(`${theirs}.ffn_${part}_exps.weight`, pieces, part === 'down');
    else {
      pieces.forEach((piece, e) => {
        const name = `${theirs}.ffn_${part}.${e}.weight`;
        if (part === 'down') layout.addTurned(name, piece);
        else layout.add(name, piece);
      });
    }
  }
  if (sharedHidden === 0) return;
  layout.addAs(`${theirs}.ffn_gate_inp_shexp.weight`, `${own}.experts.shared.gate`, [config.dModel]);
  layout.add(`${theirs}.ffn_gate_shexp.weight`, `${own}.experts.shared.gated`);
  layout.add(`${theirs}.ffn_up_shexp.weight`, `${own}.experts.shared.up`);
  layout.add(`${theirs}.ffn_down_shexp.weight`, `${own}.experts.shared.down`);
}

interface LlamaLike {
  readonly family: Family;
  readonly modelType: string;
  readonly architectureClass: string;
  readonly experts?: ExpertNames;
  readonly gguf: {
    readonly architecture: string;
    readonly isPaired?: boolean;
    /** the hidden dim of an expert has a key of its own */
    readonly hasExpertHidden?: boolean;
    /** an output matrix of its own is required */
    readonly requiresHead?: boolean;
    readonly accepts?: (file: GgufDescription) => boolean;
    /** whether llama.cpp divides experts' weights by their sum; absent: told by a key */
    readonly normalizes?: boolean;
  };
}

function llamaLike(like: LlamaLike): FamilyFormats {
  const { family, modelType, architectureClass, experts = PLAIN } = like;
  return {
    family,
    huggingFace: {
      modelType,
      readConfig: (value, where) => llamaConfig(family, modelType, value, where),
      writeConfig: (config) => writeLlamaConfig(config, modelType, architectureClass),
      layouts: [huggingFaceLayout(experts)],
    },
    gguf: ggufFormat(like),
  };
}

function ggufFormat({ family, gguf }: LlamaLike): GgufFormat {
  const { architecture, isPaired = false, accepts } = gguf;
  const key = (name: string) => `${architecture}.${name}`;
  return {
    architecture,
    ...(accepts ? { accepts } : {}),
    readConfig: (file) => readGguf(file, family, gguf),
    *writeConfig(config) {
      yield* baseSettings(config, architecture);
      yield [key('attention.layer_norm_rms_epsilon'), f32(config.normEpsilon)];
      if (config.slidingWindow !== null) yield [key('attention.sliding_window'), u32(config.slidingWindow)];
      if (gguf.hasExpertHidden) yield [key('expert_feed_forward_length'), u32(config.ffn.hidden)];
      if (config.ffn.sharedHidden > 0) {
        yield [key('expert_shared_feed_forward_length'), u32(config.ffn.sharedHidden)];
      }
    },
    layouts: [ggufLlama(isPaired, 'stacked'), ggufLlama(isPaired, 'apart')],
    unfit: (config) => unfitGguf(config, gguf),
  };
}

function readGguf(file: GgufDescription, family: Family, gguf: LlamaLike['gguf']): ModelConfig {
  const { architecture } = gguf;
  const shape = ggufShape(file, architecture, family);
  const { experts, hasSharedExpert } = traitsOf(family);
  const may = (name: string, otherwise: number) => ggufNumber(file, `${architecture}.${name}`) ?? otherwise;
  return completeShape(file, {
    ...shape,
    normEpsilon: numberOf(file, `${architecture}.attention.layer_norm_rms_epsilon`),
    slidingWindow: ggufNumber(file, `${architecture}.attention.sliding_window`) || null,
    ffn: {
      ...shape.ffn,
      hidden: experts === 'some' ? may('expert_feed_forward_length', shape.ffn.hidden) : shape.ffn.hidden,
      ...(hasSharedExpert
        ? { sharedHidden: may('expert_shared_feed_forward_length', shape.ffn.hidden) }
        : {}),
    },
  });
}

function unfitGguf(
  { ffn, tieEmbeddings, ropeScaling, clipQkv, slidingWindow, maxSeqLen }: ModelConfig,
  gguf: LlamaLike['gguf'],
): string | undefined {
  const { architecture } = gguf;
  if (tieEmbeddings && gguf.requiresHead) {
    return `its embeddings are tied, and GGUF’s ${architecture} has an output matrix of its own`;
  }
  if (clipQkv !== null) return `q, k and v are clamped, which GGUF’s ${architecture} has no place for`;
  if (ffn.activation !== 'silu') return `its feed-forward layer uses ${ffn.activation}, not silu`;
  if (slidingWindow !== null && slidingWindow < maxSeqLen) {
    return 'it attends within a sliding window, which llama.cpp leaves out for this architecture';
  }
  if (ropeScaling?.kind === 'yarn' && ropeScaling.attentionFactor !== undefined) {
    return 'its positions have an attention factor of their own';
  }
  if (ffn.numExperts > 1 && ffn.normalizeWeights !== (gguf.normalizes ?? true)) {
    const does = gguf.normalizes === false ? 'never' : 'always';
    return `llama.cpp ${does} divides this architecture’s experts’ weights by their sum`;
  }
  return undefined;
}

const hasExperts = (file: GgufDescription) => (ggufNumber(file, 'llama.expert_count') ?? 0) > 1;

export const llama = llamaLike({
  family: 'llama',
  modelType: 'llama',
  architectureClass: 'LlamaForCausalLM',
  gguf: { architecture: 'llama', isPaired: true, accepts: (file) => !hasExperts(file) },
});

export const mixtral = llamaLike({
  family: 'mixtral',
  modelType: 'mixtral',
  architectureClass: 'MixtralForCausalLM',
  experts: MIXTRAL,
  gguf: { architecture: 'llama', isPaired: true, accepts: hasExperts },
});

export const olmoe = llamaLike({
  family: 'olmoe',
  modelType: 'olmoe',
  architectureClass: 'OlmoeForCausalLM',
  gguf: { architecture: 'olmoe', requiresHead: true, normalizes: false },
});

export const qwen2 = llamaLike({
  family: 'qwen2',
  modelType: 'qwen2',
  architectureClass: 'Qwen2ForCausalLM',
  gguf: { architecture: 'qwen2' },
});

export const qwen2Moe = llamaLike({
  family: 'qwen2-moe',
  modelType: 'qwen2_moe',
  architectureClass: 'Qwen2MoeForCausalLM',
  gguf: { architecture: 'qwen2moe', hasExpertHidden: true, requiresHead: true, normalizes: false },
});

export const qwen3 = llamaLike({
  family: 'qwen3',
  modelType: 'qwen3',
  architectureClass: 'Qwen3ForCausalLM',
  gguf: { architecture: 'qwen3' },
});

export const qwen3Moe = llamaLike({
  family: 'qwen3-moe',
  modelType: 'qwen3_moe',
  architectureClass: 'Qwen3MoeForCausalLM',
  gguf: { architecture: 'qwen3moe', hasExpertHidden: true },
});
