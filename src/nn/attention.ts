/**
 * Grouped-query attention with one fused QKV product, clipping and rotary positions, as in DBRX.
 * Legend: R rows, D model dim, H query heads, G key/value heads, P head dim.
 */
import {
  attention,
  type FloatArray,
  type PackedFormat,
  type ParameterStore,
  type Precision,
  type RopeTable,
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

  constructor(store: ParameterStore, name: string, config: AttentionConfig) {
    const { dModel, heads, kvHeads, headDim, std, outStd, format } = config;
    const outputs = (heads + 2 * kvHeads) * headDim;
    this.config = config;
    this.qkv = new Linear(store, `${name}.qkv`, { inputs: dModel, outputs, std, format });
    this.out = new Linear(store, `${name}.out`, {
      inputs: heads * headDim,
      outputs: dModel,
      std: outStd,
      format,
    });
  }

  /** [R, D] -> [R, D] */
  forward(tape: Tape, x: Tensor, rows: PackedRows, rope: RopeTable): Tensor {
    const { heads, kvHeads, headDim, clip, precision } = this.config;
    const qkv = tape.layer('qkv', () => this.qkv.forward(tape, x));
    const { positions, firstKey } = rows;
    const options = { heads, kvHeads, headDim, clip, precision, rope, positions, firstKey };
    const mixed = tape.layer('heads', () => attention(tape, qkv, options));
    return tape.layer('out', () => this.out.forward(tape, mixed));
  }

  /** [R, D] -> [R, D]; writes the rows' keys and values into the cache first. Not differentiable. */
  forwardCached(tape: Tape, x: Tensor, rows: CachedRows, rope: RopeTable, cache: LayerCache): Tensor {
    const { heads, kvHeads, headDim, clip } = this.config;
    const { kernels } = tape;
    const shape = { rows: rows.positions.length, heads, kvHeads, headDim };
    const qkv = this.qkv.forward(tape, x);
    kernels.ropeClipForward(qkv.data, null, rows.positions, rope.cos, rope.sin, shape, clip);
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
    );
    return this.out.forward(tape, mixed);
  }
}
