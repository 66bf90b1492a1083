/**
 * What a family of models leaves no choice in, and the values it usually has. One table, so that families can be compared: everything
 * that the transformer asks of a family stands here.
 */
import type { Activation } from '../../tensor/index.ts';

export const FAMILIES = [
  'dbrx',
  'llama',
  'mixtral',
  'olmoe',
  'qwen2',
  'qwen2-moe',
  'qwen3',
  'qwen3-moe',
  'gpt2',
  'mpt',
  'grok-1',
] as const;

export type Family = (typeof FAMILIES)[number];

/** Settings that some families have no place for in their files. */
export type Setting =
  | 'headDim'
  | 'ropeScaling'
  | 'normEpsilon'
  | 'clipQkv'
  | 'slidingWindow'
  | 'scoreCap'
  | 'embeddingScale'
  | 'logitScale'
  | 'normalizeWeights';

export interface Traits {
  /** what may differ from the values below, and is kept in a model's config.json */
  readonly settings: readonly Setting[];
  readonly activations: readonly Activation[];
  readonly norm: 'layernorm' | 'rmsnorm';
  /** norms add a bias after their scale */
  readonly normBias: boolean;
  /** rotated queries and keys, a trained vector for every position, or scores lowered by distance */
  readonly positions: 'rope' | 'learned' | 'alibi';
  /** the attention's output projection and both feed-forward projections add a bias */
  readonly outBias: boolean;
  /** RMS norm of queries and keys: none, each head by itself, all heads of a row together */
  readonly qkNorm: 'none' | 'head' | 'all';
  /** gated (GLU) or two plain products */
  readonly ffn: 'gated' | 'plain';
  readonly experts: 'none' | 'some' | 'any';
  readonly hasSharedExpert: boolean;
  /** what attention and experts give is normed before it is added to the residual stream */
  readonly postNorms: boolean;
  readonly normEpsilon: number;
  readonly clipQkv: number | null;
  readonly qkvBias: boolean;
  readonly tieEmbeddings: boolean;
  readonly scoreCap: number | null;
  readonly embeddingScale: number;
  readonly logitScale: number;
  readonly normalizeWeights: boolean;
  readonly activation: Activation;
}

/** Llama (Touvron et al. 2023); most others are told as a difference to it. */
const LLAMA: Traits = {
  settings: ['headDim', 'ropeScaling', 'normEpsilon', 'slidingWindow'],
  activations: ['silu', 'gelu', 'gelu-tanh'],
  norm: 'rmsnorm',
  normBias: false,
  positions: 'rope',
  outBias: false,
  qkNorm: 'none',
  ffn: 'gated',
  experts: 'none',
  hasSharedExpert: false,
  postNorms: false,
  normEpsilon: 1e-5,
  clipQkv: null,
  qkvBias: false,
  tieEmbeddings: false,
  scoreCap: null,
  embeddingScale: 1,
  logitScale: 1,
  normalizeWeights: true,
  activation: 'silu',
};

const QWEN: Traits = {
  ...LLAMA,
  settings: ['ropeScaling', 'normEpsilon', 'slidingWindow', 'normalizeWeights'],
  normEpsilon: 1e-6,
};
const QWEN_3: Traits = { ...QWEN, settings: [...QWEN.settings, 'headDim'], qkNorm: 'head' };

const TRAITS: Readonly<Record<Family, Traits>> = {
  /** Databricks 2024: layer norm, clipped; here also with one expert, which is a dense model */
  dbrx: {
    ...LLAMA,
    settings: ['clipQkv', 'normalizeWeights'],
    activations: ['silu', 'gelu'],
    norm: 'layernorm',
    experts: 'any',
    clipQkv: 8,
  },
  llama: LLAMA,
  /** Jiang et al. 2024 */
  mixtral: { ...LLAMA, experts: 'some' },
  /** Muennighoff et al. 2024: weights of the experts are not divided by their sum */
  olmoe: {
    ...LLAMA,
    settings: ['ropeScaling', 'normEpsilon', 'clipQkv', 'normalizeWeights'],
    qkNorm: 'all',
    experts: 'some',
    normalizeWeights: false,
  },
  qwen2: { ...QWEN, qkvBias: true },
  'qwen2-moe': { ...QWEN, qkvBias: true, experts: 'some', hasSharedExpert: true, normalizeWeights: false },
  qwen3: QWEN_3,
  'qwen3-moe': { ...QWEN_3, experts: 'some' },
  /** Radford et al. 2019 */
  gpt2: {
    ...LLAMA,
    settings: ['normEpsilon'],
    activations: ['gelu', 'gelu-tanh'],
    norm: 'layernorm',
    normBias: true,
    positions: 'learned',
    outBias: true,
    ffn: 'plain',
    qkvBias: true,
    tieEmbeddings: true,
    activation: 'gelu-tanh',
  },
  /** MosaicML 2023: ALiBi, no bias anywhere */
  mpt: {
    ...LLAMA,
    settings: ['normEpsilon', 'clipQkv'],
    activations: ['gelu', 'gelu-tanh'],
    norm: 'layernorm',
    positions: 'alibi',
    ffn: 'plain',
    tieEmbeddings: true,
    activation: 'gelu',
  },
  /** xAI 2024 */
  'grok-1': {
    ...LLAMA,
    settings: ['normEpsilon', 'scoreCap', 'embeddingScale', 'logitScale'],
    activations: ['gelu-tanh'],
    experts: 'some',
    postNorms: true,
    tieEmbeddings: true,
    scoreCap: 30,
    embeddingScale: 78.38367176906169,
    logitScale: 0.5773502691896257,
    activation: 'gelu-tanh',
  },
};

export function traitsOf(family: Family): Traits {
  return TRAITS[family];
}
