/**
 * The kernels every engine implements: native C++ (`native.ts`), plain TypeScript (`reference/`), later WebGPU.
 * One shared suite (`kernels.suite.ts`) runs over all of them.
 *
 * Legend: R rows (tokens of all sequences of a batch, concatenated), D model dim, H query heads, G key/value heads,
 * P head dim, C = (H + 2G)·P columns of a fused QKV row, F expert hidden dim, E experts, K experts per token (top-k),
 * S = R·K routed slots, V vocabulary.
 *
 * Contracts that hold for all of them:
 * - arrays are dense and row-major; outputs never overlap inputs unless the docstring says "in place";
 * - outputs are overwritten unless `accumulate` is true (or the docstring says "adds");
 * - the result is the same to the bit for every number of threads: work is split in pieces of fixed size and partial
 *   sums are added in order; one row of a product is computed the same way alone and among 512;
 * - native kernels take Float32Array only; the reference also takes Float64Array (all arguments alike), which is how
 *   gradients are checked;
 * - a wrong length or size throws an Error (a mistake of the caller, not of the user).
 */
import type { BlockKernels } from './block-format.ts';
import type {
  AdamWOptions,
  AttentionShape,
  ColumnGroups,
  GemmOptions,
  PackedMatrix,
} from './kernel-shapes.ts';
import type { Machine } from './machine.ts';

export type * from './kernel-shapes.ts';

export type FloatArray = Float32Array | Float64Array;

/** Precision of products: operands rounded to bf16 (round to nearest even) or kept in f32; sums are always f32. */
export type Precision = 'f32' | 'bf16';

/** `gelu` is the exact one, x · Φ(x); `gelu-tanh` its approximation by tanh, which GPT-2 was trained with. */
export type Activation = 'silu' | 'gelu' | 'gelu-tanh';

export type UnaryOp =
  | 'neg'
  | 'exp'
  | 'log'
  | 'tanh'
  | 'sigmoid'
  | 'silu'
  | 'gelu'
  | 'gelu-tanh'
  | 'relu'
  | 'square'
  | 'sqrt';
export type BinaryOp = 'add' | 'sub' | 'mul' | 'div';

/**
 * How a packed matrix is kept. `f32` and `bf16`: products have that {@link Precision}. For inference, where reading the
 * weights is the work, the others keep weights in fewer bits and activations in f32: `bf16-weights` rounded to 16 bits,
 * `int8-weights` to 8 bits with one scale per column and {@link INT8_BLOCK} rows of B: scale = max |b| / 127, the
 * integer nearest (ties to even) to b · 127 / max |b|.
 */
export const PACKED_FORMATS = ['f32', 'bf16', 'bf16-weights', 'int8-weights'] as const;
export type PackedFormat = (typeof PACKED_FORMATS)[number];

/** rows of B that share a scale in `int8-weights` */
export const INT8_BLOCK = 256;

/** All kernels and the engine they run on. */
export interface Kernels
  extends Machine,
    MatrixKernels,
    TransformerKernels,
    RoutingKernels,
    LossKernels,
    BlockKernels,
    ElementwiseKernels {}

export interface MatrixKernels {
  createPacked(k: number, n: number, groups: number, format: PackedFormat): PackedMatrix;
  /** Rearranges `source` [groups, k, n] (or [groups, n, k] when `transposed`) into `packed`. */
  pack(packed: PackedMatrix, source: FloatArray, transposed: boolean): void;
  /** c[m, n] (+)= a[m, k] · B, B of one group. */
  gemmPacked(c: FloatArray, a: FloatArray, b: PackedMatrix, m: number, accumulate?: boolean): void;
  /** For every group g: c[rows g, n] (+)= a[rows g, k] · B_g, rows g = offsets[g]..offsets[g+1]; groups may be empty. */
  groupedGemmPacked(
    c: FloatArray,
    a: FloatArray,
    b: PackedMatrix,
    offsets: Int32Array,
    accumulate?: boolean,
  ): void;
  /** c[m, n] (+)= op(a) · op(b), nothing prepacked. */
  gemm(c: FloatArray, a: FloatArray, b: FloatArray, options: GemmOptions): void;
  /**
   * Weight gradients of grouped products: for every group g, c[g] [n, k] (+)= a[rows g, n]ᵀ · b[rows g, k].
   * An empty group gives zeros (or leaves c[g] as it is when accumulating).
   */
  groupedGemmTransposed(
    c: FloatArray,
    a: FloatArray,
    b: FloatArray,
    offsets: Int32Array,
    n: number,
    k: number,
    precision: Precision,
    accumulate?: boolean,
  ): void;
}

export interface TransformerKernels {
  /** y = (x - mean) * rstd * weight per row; writes mean[rows] and rstd[rows] for the backward pass. Ba et al. 2016. */
  layerNormForward(
    y: FloatArray,
    mean: FloatArray,
    rstd: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    rows: number,
    dim: number,
    epsilon: number,
  ): void;
  /** dx (+)= ..., adds to dweight[dim]. */
  layerNormBackward(
    dx: FloatArray,
    dweight: FloatArray,
    dy: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    mean: FloatArray,
    rstd: FloatArray,
    rows: number,
    dim: number,
    accumulate?: boolean,
  ): void;
  /** y = x * rstd * weight, rstd = 1 / sqrt(mean(x²) + epsilon). Zhang and Sennrich 2019. */
  rmsNormForward(
    y: FloatArray,
    rstd: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    rows: number,
    dim: number,
    epsilon: number,
  ): void;
  /** dx (+)= ..., adds to dweight[dim]. */
  rmsNormBackward(
    dx: FloatArray,
    dweight: FloatArray,
    dy: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    rstd: FloatArray,
    rows: number,
    dim: number,
    accumulate?: boolean,
  ): void;
  /**
   * RMS norm of groups of columns: y = x * rstd * weight there, other columns of y[rows, columns] stay as they are.
   * Writes rstd[rows, groups].
   */
  columnNormForward(
    y: FloatArray,
    rstd: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    shape: ColumnGroups,
    epsilon: number,
  ): void;
  /** dx, in the groups' columns only, from dy there; dx may be dy. Adds to dweight[dim]. */
  columnNormBackward(
    dx: FloatArray,
    dweight: FloatArray,
    dy: FloatArray,
    x: FloatArray,
    weight: FloatArray,
    rstd: FloatArray,
    shape: ColumnGroups,
  ): void;
  /**
   * In place on qkv[rows, C]: clamps q, k and v to [-clip, clip] (clip 0: no clamp), then rotates q and k by the row's
   * position (NeoX layout: column i pairs with i + P/2). cos and sin are [positions, P/2].
   * clipMask[rows * C], if given, receives 1 where a value was strictly inside the bounds, else 0.
   */
  ropeClipForward(
    qkv: FloatArray,
    clipMask: Uint8Array | null,
    positions: Int32Array,
    cos: FloatArray,
    sin: FloatArray,
    shape: AttentionShape,
    clip: number,
  ): void;
  /** In place on dqkv: rotates back, then zeroes what was clipped (clipMask null: nothing was). */
  ropeClipBackward(
    dqkv: FloatArray,
    clipMask: Uint8Array | null,
    positions: Int32Array,
    cos: FloatArray,
    sin: FloatArray,
    shape: AttentionShape,
  ): void;
  /**
   * Causal attention within documents: row r attends rows firstKey[r]..r. firstKey is non-decreasing and
   * firstKey[r] <= r, so one array expresses causality, sequence and document borders.
   * out[rows, H·P]; lse[H, rows] = log of the sum of exponentials, for the backward pass. Softmax in f32; memory O(rows)
   * per head (Dao et al. 2022). Query head h reads key/value head floor(h / (H/G)).
   */
  attentionForward(
    out: FloatArray,
    lse: FloatArray,
    qkv: FloatArray,
    firstKey: Int32Array,
    shape: AttentionShape,
    scale: number,
    precision: Precision,
  ): void;
  /** Overwrites dqkv[rows, C]. */
  attentionBackward(
    dqkv: FloatArray,
    dout: FloatArray,
    qkv: FloatArray,
    out: FloatArray,
    lse: FloatArray,
    firstKey: Int32Array,
    shape: AttentionShape,
    scale: number,
    precision: Precision,
  ): void;
  /**
   * Attention over caches keyCache, valueCache [slots, cacheLength, G·P]: first stores the k and v columns of every
   * row of qkv at [slots[r], positions[r]], then row r attends positions 0..positions[r] of its slot, of these the last
   * `window` ones (0: all). Rows of one call may mix prefill and decode, of any slots. Writes out[rows, H·P].
   */
  attentionCached(
    out: FloatArray,
    keyCache: FloatArray,
    valueCache: FloatArray,
    qkv: FloatArray,
    slots: Int32Array,
    positions: Int32Array,
    shape: AttentionShape,
    cacheLength: number,
    scale: number,
    window?: number,
  ): void;
  /** h[rows, F] = activation(gateUp[:, 0..F]) * gateUp[:, F..2F]. Shazeer 2020. */
  gluForward(h: FloatArray, gateUp: FloatArray, rows: number, hidden: number, activation: Activation): void;
  /** dGateUp[rows, 2F] from dh[rows, F]; may be in place on gateUp. */
  gluBackward(
    dGateUp: FloatArray,
    dh: FloatArray,
    gateUp: FloatArray,
    rows: number,
    hidden: number,
    activation: Activation,
  ): void;
  /** y[rows, dim] = table[ids[r], :]. */
  embeddingForward(y: FloatArray, table: FloatArray, ids: Int32Array, rows: number, dim: number): void;
  /** Adds dy rows to dtable[ids[r], :], in the order of the rows. */
  embeddingBackward(dtable: FloatArray, ids: Int32Array, dy: FloatArray, rows: number, dim: number): void;
}

export interface RoutingKernels {
  /**
   * probs[R, E] = softmax(logits) over all experts; experts[R, K] = indices of the K largest, descending, ties to the
   * lower index; weights[R, K] = their probs, divided by their sum when `normalize` (DBRX: p = 1 norm).
   */
  routerForward(
    probs: FloatArray,
    weights: FloatArray,
    experts: Int32Array,
    logits: FloatArray,
    rows: number,
    numExperts: number,
    topK: number,
    normalize: boolean,
  ): void;
  /**
   * dlogits[R, E] from dweights[R, K] (gradient of the chosen weights) plus auxGrad[E], the gradient of the auxiliary
   * loss towards every row's probs (the same for all rows).
   */
  routerBackward(
    dlogits: FloatArray,
    dweights: FloatArray,
    auxGrad: FloatArray,
    probs: FloatArray,
    experts: Int32Array,
    rows: number,
    numExperts: number,
    topK: number,
    normalize: boolean,
  ): void;
  /**
   * Stable counting sort of the S = rows·topK slots by expert: slotOf[t·K + j] = place of (token t, choice j) in the sorted
   * order, tokenOf[place] = t, offsets[E + 1] = first place of each expert. Gale et al. 2022 (MegaBlocks), no capacity.
   */
  buildPermutation(
    slotOf: Int32Array,
    tokenOf: Int32Array,
    offsets: Int32Array,
    experts: Int32Array,
    rows: number,
    topK: number,
    numExperts: number,
  ): void;
  /** out[S, dim] = x[tokenOf[s], :]. */
  gatherRows(out: FloatArray, x: FloatArray, tokenOf: Int32Array, slots: number, dim: number): void;
  /** dx[t] (+)= sum over j of dout[slotOf[t·K + j]] : the backward pass of gatherRows, in the order of j. */
  gatherRowsBackward(
    dx: FloatArray,
    dout: FloatArray,
    slotOf: Int32Array,
    rows: number,
    topK: number,
    dim: number,
    accumulate?: boolean,
  ): void;
  /** y[t] (+)= sum over j of weights[t, j] * ys[slotOf[t·K + j]], in the order of j. */
  combineForward(
    y: FloatArray,
    ys: FloatArray,
    weights: FloatArray,
    slotOf: Int32Array,
    rows: number,
    topK: number,
    dim: number,
    accumulate?: boolean,
  ): void;
  /** dys[slot] = weights[t, j] * dy[t]; dweights[t, j] = dot(dy[t], ys[slot]). dys may be in place on ys. */
  combineBackward(
    dys: FloatArray,
    dweights: FloatArray,
    dy: FloatArray,
    ys: FloatArray,
    weights: FloatArray,
    slotOf: Int32Array,
    rows: number,
    topK: number,
    dim: number,
  ): void;
}

export interface LossKernels {
  /**
   * losses[r] = logsumexp(logits[r]) - logits[r, targets[r]], 0 where targets[r] < 0 (ignored).
   * When gradScale is not 0, logits is overwritten by gradScale * (softmax - onehot), zeros in ignored rows.
   */
  softmaxCrossEntropy(
    losses: FloatArray,
    logits: FloatArray,
    targets: Int32Array,
    rows: number,
    vocab: number,
    gradScale: number,
  ): void;
  softmaxForward(y: FloatArray, x: FloatArray, rows: number, dim: number): void;
  /** dx (+)= y * (dy - sum(dy * y)) per row. */
  softmaxBackward(
    dx: FloatArray,
    dy: FloatArray,
    y: FloatArray,
    rows: number,
    dim: number,
    accumulate?: boolean,
  ): void;
  /** One AdamW update in place on param, m and v (Loshchilov and Hutter 2019). grad is read only. */
  adamw(param: FloatArray, m: FloatArray, v: FloatArray, grad: FloatArray, options: AdamWOptions): void;
}

export interface ElementwiseKernels {
  unary(op: UnaryOp, y: FloatArray, x: FloatArray): void;
  /** dx (+)= dy * op'(x); y = op(x) is given for ops whose derivative is cheaper from it. */
  unaryBackward(
    op: UnaryOp,
    dx: FloatArray,
    dy: FloatArray,
    x: FloatArray,
    y: FloatArray,
    accumulate?: boolean,
  ): void;
  /** y = a op b, equal lengths; y may be in place on a or b. */
  binary(op: BinaryOp, y: FloatArray, a: FloatArray, b: FloatArray): void;
  /** y[rows, dim] = a[rows, dim] op b[dim] (b the same for every row); may be in place on a. */
  binaryRow(op: BinaryOp, y: FloatArray, a: FloatArray, b: FloatArray, rows: number, dim: number): void;
  /** y (+)= alpha * x. */
  scale(y: FloatArray, x: FloatArray, alpha: number, accumulate?: boolean): void;
  fill(y: FloatArray, value: number): void;
  /** Sum in f64 over pieces of fixed size. */
  sum(x: FloatArray): number;
  sumOfSquares(x: FloatArray): number;
  /** sums[dim] (+)= sum over rows of x[rows, dim]. */
  columnSum(sums: FloatArray, x: FloatArray, rows: number, dim: number, accumulate?: boolean): void;
}
