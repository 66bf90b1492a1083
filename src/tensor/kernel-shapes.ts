/** Sizes and settings that kernels are called with. Legend: as in kernels.ts. */
import type { PackedFormat, Precision } from './kernels.ts';

/** Heads of one attention layer. A QKV row holds H·P query, G·P key and G·P value columns, in this order. */
export interface AttentionShape {
  readonly rows: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** even; native kernels want a multiple of 8, at most 256 */
  readonly headDim: number;
  /** absent: none */
  readonly scores?: ScoreChange;
}

/** What happens to scores between their scaling and the softmax. At most one of both. */
export interface ScoreChange {
  /** [H]: the score of key j for query i grows by slopes[h] · (j - i) (ALiBi, Press et al. 2022); absent: none */
  readonly slopes?: Float32Array;
  /** scores become cap · tanh(score / cap) (Gemma 2, Grok-1); absent: none */
  readonly cap?: number;
}

/**
 * Columns of rows that are normed in groups: `groups` of `dim` columns from column `first` on, in rows of `columns`.
 * All groups share one scale [dim].
 */
export interface ColumnGroups {
  readonly rows: number;
  readonly columns: number;
  readonly first: number;
  readonly groups: number;
  readonly dim: number;
}

/** `groups` weight matrices B of `k` x `n`, rearranged by {@link Kernels.pack} for fast products. Opaque otherwise. */
export interface PackedMatrix {
  readonly k: number;
  readonly n: number;
  readonly groups: number;
  readonly format: PackedFormat;
}

/** Sizes and forms of a plain product; leading dimensions default to the dense ones. */
export interface GemmOptions {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** a is stored [k, m] */
  readonly transA?: boolean;
  /** b is stored [n, k] */
  readonly transB?: boolean;
  readonly accumulate?: boolean;
  readonly precision?: Precision;
}

export interface AdamWOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** decoupled: param *= 1 - learningRate * weightDecay */
  readonly weightDecay: number;
  /** number of this update, from 1, for bias correction */
  readonly step: number;
  /** the gradient is multiplied by this first (clipping) */
  readonly gradScale: number;
}
