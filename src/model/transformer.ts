/**
 * A decoder-only transformer: pre-norm blocks of grouped-query attention and a feed-forward layer, which is a mixture of
 * gated experts, one gated layer or a plain one. What differs between families is told by their traits (families/traits.ts).
 * x += attention(norm_1(x)); x += experts(norm_2(x)); logits = lm_head(norm_f(x)); Grok-1 norms what it adds, too.
 * Legend: R rows (tokens of all sequences), D model dim, V vocabulary, P head dim.
 */
import { assert, finishParts, type Parts } from '../base/index.ts';
import {
  Attention,
  type CachedRows,
  Experts,
  type ExpertsOutput,
  Mlp,
  Norm,
  type NormOptions,
  type PackedRows,
} from '../nn/index.ts';
import {
  Arena,
  embedding,
  type FloatArray,
  type FloatType,
  type Kernels,
  linear,
  type PackedFormat,
  PackedWeight,
  type Parameter,
  ParameterStore,
  type Precision,
  projectionCrossEntropyInParts,
  type RopeTable,
  residualAdd,
  ropeTable,
  type ScoreChange,
  scaled,
  type Tape,
  type Tensor,
} from '../tensor/index.ts';
import type { KvCache } from './cache.ts';
import { hasRouter, type ModelConfig, traitsOfModel } from './config.ts';

export interface TransformerOptions {
  readonly precision: Precision;
  /** how weights are kept; default: as `precision` says. Formats for weights only are for inference. */
  readonly format?: PackedFormat;
  /** with gradients and initial weights drawn from `seed`, or for inference with weights still to be loaded */
  readonly trainable: boolean;
  /** for inference: weights stay as products read them only, filled by {@link fillWeights} */
  readonly packedOnly?: boolean;
  readonly seed?: number;
  readonly floatType?: FloatType;
}

/** The rows of one forward pass; all arrays have one entry per row. See `Batch` of the stream room. */
export interface TokenRows {
  readonly tokens: Int32Array;
  /** negative: ignored */
  readonly targets: Int32Array;
  readonly positions: Int32Array;
  readonly firstKey: Int32Array;
}

export interface ForwardOptions {
  /** the loss is the sum over counted rows divided by this; default: the number of counted rows */
  readonly normalizer?: number;
  /** share of the step's gradient that this microbatch's balance loss has; default 1 */
  readonly balanceScale?: number;
}

export interface ForwardOutput {
  /** mean (see normalizer) cross-entropy in nats; scalar to run backward from */
  readonly loss: Tensor;
  /** [R] cross-entropy of every row, 0 where ignored */
  readonly losses: FloatArray;
  /** load-balancing loss, its weight included; its gradient is part of the backward pass */
  readonly balanceLoss: number;
  /** per layer [E]: tokens every expert received */
  readonly expertCounts: readonly Int32Array[];
}

interface Block {
  readonly norm1: Norm;
  readonly attention: Attention;
  /** of what attention gives */
  readonly postNorm1?: Norm;
  readonly norm2: Norm;
  readonly experts: Experts | Mlp;
  readonly postNorm2?: Norm;
}

export class Transformer {
  readonly config: ModelConfig;
  readonly kernels: Kernels;
  readonly store: ParameterStore;
  private readonly table: Parameter;
  /** [maxSeqLen, D] */
  private readonly positionTable: Parameter | undefined;
  private readonly blocks: readonly Block[];
  private readonly finalNorm: Norm;
  /** [V, D]: the embedding table itself where they are tied */
  private readonly head: PackedWeight;
  private readonly rope: RopeTable | null;

  constructor(config: ModelConfig, kernels: Kernels, options: TransformerOptions) {
    const { precision, format = precision, trainable, packedOnly, floatType } = options;
    const { dModel, vocabSize, numLayers } = config;
    this.config = config;
    this.kernels = kernels;
    this.store = new ParameterStore(kernels, { trainable, packedOnly, floatType });
    const tableInit = { kind: 'normal', std: config.initStd ?? 1 / Math.sqrt(dModel) } as const;
    this.table = this.store.create('embedding', [vocabSize, dModel], tableInit, true);
    if (traitsOfModel(config).positions === 'learned') {
      this.positionTable = this.store.create('positions', [config.maxSeqLen, dModel], tableInit, true);
    }
    const scores = scoreChangeOf(config, kernels);
    const shared = { precision, format, scores };
    this.blocks = Array.from({ length: numLayers }, (_, i) => createBlock(this.store, config, i, shared));
    this.finalNorm = new Norm(this.store, 'norm_f', normOptions(config));
    this.head = config.tieEmbeddings
      ? new PackedWeight(this.table.tensor, format)
      : this.store.createMatrix('head', [vocabSize, dModel], { std: stdOf(config, dModel), format });
    this.rope = ropeOf(config, new Arena(kernels, { kind: 'constants', floatType, blockBytes: 1 << 16 }));
    if (options.seed !== undefined) this.store.initialize(options.seed);
  }

  get parameters(): readonly Parameter[] {
    return this.store.all;
  }

  /** Loss of predicting `targets`. */
  forward(tape: Tape, rows: TokenRows, options: ForwardOptions = {}): ForwardOutput {
    return finishParts(this.forwardInParts(tape, rows, options));
  }

  /** As {@link forward}; may pause within and between blocks, and within the loss. */
  *forwardInParts(tape: Tape, rows: TokenRows, options: ForwardOptions = {}): Parts<ForwardOutput> {
    const { lossWeight } = this.config.ffn;
    const balanceWeight = lossWeight / this.config.numLayers;
    const balanceScale = options.balanceScale ?? 1;
    const firstKey = withinWindow(rows.firstKey, this.config.slidingWindow, tape);
    const packed = { kind: 'packed', positions: rows.positions, firstKey } as const;
    const expertCounts: Int32Array[] = [];
    let balanceLoss = 0;
    let x = tape.layer('embedding', () => this.embed(tape, rows.tokens, rows.positions));
    for (const [i, block] of this.blocks.entries()) {
      const parts = forwardBlock(tape, block, x, packed, this.rope, balanceWeight, balanceScale);
      const output = yield* tape.layerInParts(`blocks.${i}`, parts);
      x = output.y;
      expertCounts.push(output.counts);
      balanceLoss += output.balanceLoss;
    }
    x = tape.layer('norm_f', () => this.normed(tape, x));
    const normalizer = options.normalizer ?? countTargets(rows.targets);
    const { loss, losses } = yield* tape.layerInParts(
      'head',
      projectionCrossEntropyInParts(tape, x, this.head, rows.targets, normalizer),
    );
    return { loss, losses, balanceLoss, expertCounts };
  }

  /**
   * Logits [logitRows, V] of some of the rows; every row's keys and values are written to the cache first.
   * Valid until the tape is reset.
   */
  forwardCached(
    tape: Tape,
    tokens: Int32Array,
    rows: CachedRows,
    cache: KvCache,
    logitRows: Int32Array,
  ): FloatArray {
    assert(!tape.recording, 'forwardCached on a recording tape');
    let x = this.embed(tape, tokens, rows.positions);
    this.blocks.forEach((block, i) => {
      const normed = block.norm1.forward(tape, x);
      const mixed = block.attention.forwardCached(tape, normed, rows, this.rope, cache.layers[i]!);
      x = residualAdd(tape, x, block.postNorm1?.forward(tape, mixed) ?? mixed);
      const { y } = feedForward(tape, block.experts, block.norm2.forward(tape, x), 0, 0);
      x = residualAdd(tape, x, block.postNorm2?.forward(tape, y) ?? y);
    });
    const { dModel } = this.config;
    const wanted = tape.output([logitRows.length, dModel]);
    this.kernels.gatherRows(wanted.data, x.data, logitRows, logitRows.length, dModel);
    return linear(tape, this.normed(tape, wanted), this.head).data;
  }

  /** [R, D] */
  private embed(tape: Tape, tokens: Int32Array, positions: Int32Array): Tensor {
    const { embeddingScale } = this.config;
    const x = embedding(tape, this.table.tensor, tokens);
    const sized = embeddingScale === 1 ? x : scaled(tape, x, embeddingScale);
    if (!this.positionTable) return sized;
    return residualAdd(tape, sized, embedding(tape, this.positionTable.tensor, positions));
  }

  /** What the output projection is given: scaled here, where rows are short, as the logits are to be. */
  private normed(tape: Tape, x: Tensor): Tensor {
    const { logitScale } = this.config;
    const y = this.finalNorm.forward(tape, x);
    return logitScale === 1 ? y : scaled(tape, y, logitScale);
  }
}

/** The first row that every row may attend, none further back than the window. */
function withinWindow(firstKey: Int32Array, window: number | null, tape: Tape): Int32Array {
  if (window === null || window >= firstKey.length) return firstKey;
  const within = tape.arena.integers(firstKey.length);
  for (let r = 0; r < within.length; r++) within[r] = Math.max(firstKey[r]!, r - window + 1);
  return within;
}

function feedForward(
  tape: Tape,
  layer: Experts | Mlp,
  x: Tensor,
  balanceWeight: number,
  balanceScale: number,
): ExpertsOutput {
  if (layer instanceof Experts) return layer.forward(tape, x, balanceWeight, balanceScale);
  return { y: layer.forward(tape, x), counts: Int32Array.of(x.shape[0]!), balanceLoss: 0 };
}

function* forwardBlock(
  tape: Tape,
  block: Block,
  x: Tensor,
  rows: PackedRows,
  rope: RopeTable | null,
  balanceWeight: number,
  balanceScale: number,
): Parts<ExpertsOutput> {
  const { norm1, attention, postNorm1, norm2, experts, postNorm2 } = block;
  const normed = tape.layer('norm_1', () => norm1.forward(tape, x));
  const attended = tape.layer('attention', () => attention.forward(tape, normed, rows, rope));
  const mixed = residualAdd(
    tape,
    x,
    postNorm1 ? tape.layer('post_norm_1', () => postNorm1.forward(tape, attended)) : attended,
  );
  yield;
  const normedAgain = tape.layer('norm_2', () => norm2.forward(tape, mixed));
  const output = tape.layer('experts', () =>
    feedForward(tape, experts, normedAgain, balanceWeight, balanceScale),
  );
  yield;
  const { y } = output;
  const given = postNorm2 ? tape.layer('post_norm_2', () => postNorm2.forward(tape, y)) : y;
  return { ...output, y: residualAdd(tape, mixed, given) };
}

function createBlock(
  store: ParameterStore,
  config: ModelConfig,
  layer: number,
  shared: { readonly precision: Precision; readonly format: PackedFormat; readonly scores?: ScoreChange },
): Block {
  const { dModel, numHeads: heads, kvHeads, headDim, numLayers, normEpsilon, slidingWindow } = config;
  const { qkNorm, qkvBias, outBias, postNorms } = traitsOfModel(config);
  const depthScale = 1 / Math.sqrt(2 * numLayers);
  const name = `blocks.${layer}`;
  const norm = (of: string) => new Norm(store, `${name}.${of}`, normOptions(config));
  return {
    norm1: norm('norm_1'),
    attention: new Attention(store, `${name}.attention`, {
      dModel,
      heads,
      kvHeads,
      headDim,
      clip: config.clipQkv ?? 0,
      qkvBias,
      outBias,
      qkNorm,
      normEpsilon,
      window: slidingWindow ?? 0,
      std: stdOf(config, dModel),
      outStd: stdOf(config, heads * headDim) * depthScale,
      ...shared,
    }),
    ...(postNorms ? { postNorm1: norm('post_norm_1') } : {}),
    norm2: norm('norm_2'),
    experts: createFeedForward(store, name, config, shared.format),
    ...(postNorms ? { postNorm2: norm('post_norm_2') } : {}),
  };
}

function createFeedForward(
  store: ParameterStore,
  block: string,
  config: ModelConfig,
  format: PackedFormat,
): Experts | Mlp {
  const { dModel, ffn, numLayers } = config;
  const { ffn: kind, outBias } = traitsOfModel(config);
  const std = stdOf(config, dModel);
  const outStd = stdOf(config, ffn.hidden) / Math.sqrt(2 * numLayers);
  const options = { ...ffn, dModel, std, outStd, format };
  if (kind === 'plain') return new Mlp(store, `${block}.mlp`, { ...options, bias: outBias });
  return new Experts(store, `${block}.experts`, { ...options, hasRouter: hasRouter(config) });
}

function normOptions(config: ModelConfig): NormOptions {
  const { norm: kind, normBias: bias } = traitsOfModel(config);
  return { dim: config.dModel, kind, epsilon: config.normEpsilon, bias };
}

/** Angles of every position; without rotation none, or, where queries and keys are still to be clamped, angles of 0. */
function ropeOf(config: ModelConfig, arena: Arena): RopeTable | null {
  const { maxSeqLen, headDim, ropeTheta, ropeScaling } = config;
  const floats = (n: number) => arena.floats(n);
  if (traitsOfModel(config).positions === 'rope')
    return ropeTable(maxSeqLen, headDim, ropeTheta, floats, ropeScaling);
  if (config.clipQkv === null) return null;
  const [cos, sin] = [floats((maxSeqLen * headDim) / 2), floats((maxSeqLen * headDim) / 2)];
  cos.fill(1);
  sin.fill(0);
  return { cos, sin };
}

function scoreChangeOf(config: ModelConfig, kernels: Kernels): ScoreChange | undefined {
  if (config.scoreCap !== null) return { cap: config.scoreCap };
  if (traitsOfModel(config).positions !== 'alibi') return undefined;
  const slopes = new Float32Array(kernels.allocate(4 * config.numHeads));
  slopes.set(alibiSlopes(config.numHeads));
  return { slopes };
}

/**
 * What scores of every head fall by for each token of distance (Press et al. 2022): powers of 2^(-8/n), n the next power of two;
 * where heads are fewer, those of odd place first, as MPT takes them.
 */
function alibiSlopes(numHeads: number): number[] {
  const next = 2 ** Math.ceil(Math.log2(numHeads));
  const all = Array.from({ length: next }, (_, i) => 2 ** ((-8 * (i + 1)) / next));
  if (next === numHeads) return all;
  const odd = all.filter((_, i) => i % 2 === 1);
  return [...odd, ...all.filter((_, i) => i % 2 === 0)].slice(0, numHeads);
}

function stdOf(config: ModelConfig, inputs: number): number {
  return config.initStd ?? 1 / Math.sqrt(inputs);
}

function countTargets(targets: Int32Array): number {
  let count = 0;
  for (const target of targets) if (target >= 0) count++;
  return Math.max(1, count);
}
