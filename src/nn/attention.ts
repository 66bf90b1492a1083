/**
 * Grouped-query attention with one fused QKV product. Clipping and rotary positions as in DBRX; queries and keys normed as in Qwen 3
 * (each head) or OLMoE (all heads together); scores lowered by distance (ALiBi, MPT) or capped (Grok-1); a sliding window (Mistral).
 * Legend: R rows, D model dim, H query heads, G key/value heads, P head dim.
 */
import {
  attention,
  columnNorms,
  type FloatArray,
  type NormedColumns,
  type PackedFormat,
  type Parameter,
  type ParameterStore,
  type Precision,
  type RopeTable,
  type ScoreChange,
  type Tape,
  type Tensor,
} from '../tensor/index.ts';
import { Linear } from './linear.ts';

export interface AttentionConfig {
  readonly dModel: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** bound of q, k, v; 0 for none */
  readonly clip: number;
  readonly qkvBias: boolean;
  readonly outBias: boolean;
  /** RMS norm of queries and keys before their rotation: none, of each head, or of all heads together */
  readonly qkNorm: 'none' | 'head' | 'all';
  readonly normEpsilon: number;
  /** absent: nothing happens to scores */
  readonly scores?: ScoreChange;
  /** a row attends so many rows, itself included; 0: all before it. For packed rows `firstKey` already says so. */
  readonly window: number;
  readonly std: number;
  /** initial standard deviation of the output projection */
  readonly outStd: number;
  readonly precision: Precision;
  /** of the weights */
  readonly format: PackedFormat;
}

/** Rows that attend each other within their documents: training and evaluation. */
export interface PackedRows {
  readonly kind: 'packed';
  /** [R] position within the sequence */
  readonly positions: Int32Array;
  /** [R] first row every row may attend */
  readonly firstKey: Int32Array;
}

/** Rows that attend what stands in a cache: generation. */
export interface CachedRows {
  readonly kind: 'cached';
  readonly positions: Int32Array;
  /** [R] cache slot of every row */
  readonly slots: Int32Array;
  /** tokens a slot can hold */
  readonly cacheLength: number;
}

/** Keys and values of one layer, each [slots, cacheLength, G·P]. */
export interface LayerCache {
  readonly keys: FloatArray;
  readonly values: FloatArray;
}

export class Attention {
  readonly qkv: Linear;
  readonly out: Linear;
  private readonly config: AttentionConfig;
  private readonly normed: readonly NormedColumns[];

  constructor(store: ParameterStore, name: string, config: AttentionConfig) {
    const { dModel, heads, kvHeads, headDim, std, outStd, format, qkvBias, outBias } = config;
    const outputs = (heads + 2 * kvHeads) * headDim;
    this.config = config;
    this.qkv = new Linear(store, `${name}.qkv`, { inputs: dModel, outputs, std, format, bias: qkvBias });
    this.out = new Linear(store, `${name}.out`, {
      inputs: heads * headDim,
      outputs: dModel,
      std: outStd,
      format,
      bias: outBias,
    });
    this.normed = createNorms(store, name, config);
  }

  /** [R, D] -> [R, D] */
  forward(tape: Tape, x: Tensor, rows: PackedRows, rope: RopeTable | null): Tensor {
    const { heads, kvHeads, headDim, clip, precision, scores } = this.config;
    const qkv = tape.layer('qkv', () => this.project(tape, x));
    const { positions, firstKey } = rows;
    const options = { heads, kvHeads, headDim, clip, precision, rope, scores, positions, firstKey };
    const mixed = tape.layer('heads', () => attention(tape, qkv, options));
    return tape.layer('out', () => this.out.forward(tape, mixed));
  }

  /** [R, D] -> [R, D]; writes the rows' keys and values into the cache first. Not differentiable. */
  forwardCached(tape: Tape, x: Tensor, rows: CachedRows, rope: RopeTable | null, cache: LayerCache): Tensor {
    const { heads, kvHeads, headDim, clip, scores, window } = this.config;
    const { kernels } = tape;
    const shape = { rows: rows.positions.length, heads, kvHeads, headDim, scores };
    const qkv = this.project(tape, x);
    if (rope) kernels.ropeClipForward(qkv.data, null, rows.positions, rope.cos, rope.sin, shape, clip);
    const mixed = tape.output([shape.rows, heads * headDim]);
    kernels.attentionCached(
      mixed.data,
      cache.keys,
      cache.values,
      qkv.data,
      rows.slots,
      rows.positions,
      shape,
      rows.cacheLength,
      1 / Math.sqrt(headDim),
      window,
    );
    return this.out.forward(tape, mixed);
  }

  /** [R, C] */
  private project(tape: Tape, x: Tensor): Tensor {
    const qkv = this.qkv.forward(tape, x);
    return this.normed.length > 0 ? columnNorms(tape, qkv, this.normed, this.config.normEpsilon) : qkv;
  }
}

function createNorms(store: ParameterStore, name: string, config: AttentionConfig): NormedColumns[] {
  const { qkNorm, heads, kvHeads, headDim } = config;
  if (qkNorm === 'none') return [];
  const scale = (of: string, count: number): Parameter =>
    store.create(`${name}.${of}`, [(qkNorm === 'head' ? 1 : count) * headDim], { kind: 'ones' }, false);
  const groups = (count: number) => (qkNorm === 'head' ? count : 1);
  return [
    { first: 0, groups: groups(heads), weight: scale('q_norm', heads).tensor },
    { first: heads * headDim, groups: groups(kvHeads), weight: scale('k_norm', kvHeads).tensor },
  ];
}
