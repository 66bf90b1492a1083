/**
 * A decoder-only transformer of the DBRX family: pre-norm blocks of clipped, rotated grouped-query attention and a
 * mixture of gated experts, embeddings tied or not. Databricks 2024 (untied); the math is facts of its published code:
 * x += attention(norm_1(x)); x += experts(norm_2(x)); logits = lm_head(norm_f(x)).
 * Legend: R rows (tokens of all sequences), D model dim, V vocabulary, P head dim.
 */
import { assert, finishParts, type Parts } from '../base/index.ts';
import {
  Attention,
  type CachedRows,
  Experts,
  type ExpertsOutput,
  Norm,
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
  type Tape,
  type Tensor,
} from '../tensor/index.ts';
import type { KvCache } from './cache.ts';
import { headDimOf, type ModelConfig } from './config.ts';

export interface TransformerOptions {
  readonly precision: Precision;
  /** how weights are kept; default: as `precision` says. Formats for weights only are for inference. */
  readonly format?: PackedFormat;
  /** with gradients and initial weights drawn from `seed`, or for inference with weights still to be loaded */
  readonly trainable: boolean;
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
  readonly norm2: Norm;
  readonly experts: Experts;
}

export class Transformer {
  readonly config: ModelConfig;
  readonly kernels: Kernels;
  readonly store: ParameterStore;
  private readonly table: Parameter;
  private readonly blocks: readonly Block[];
  private readonly finalNorm: Norm;
  /** [V, D]: the embedding table itself where they are tied */
  private readonly head: PackedWeight;
  private readonly rope: RopeTable;

  constructor(config: ModelConfig, kernels: Kernels, options: TransformerOptions) {
    const { precision, format = precision, trainable, floatType } = options;
    const { dModel, vocabSize, numLayers } = config;
    this.config = config;
    this.kernels = kernels;
    this.store = new ParameterStore(kernels, { trainable, floatType });
    const tableInit = { kind: 'normal', std: config.initStd ?? 1 / Math.sqrt(dModel) } as const;
    this.table = this.store.create('embedding', [vocabSize, dModel], tableInit, true);
    const precisions = { precision, format };
    this.blocks = Array.from({ length: numLayers }, (_, i) => createBlock(this.store, config, i, precisions));
    this.finalNorm = new Norm(this.store, 'norm_f', dModel, 'layernorm');
    const headInit = { kind: 'normal', std: stdOf(config, dModel) } as const;
    const head = config.tieEmbeddings
      ? this.table
      : this.store.create('head', [vocabSize, dModel], headInit, true);
    this.head = new PackedWeight(head.tensor, format);
    const ropeArena = new Arena(kernels, { kind: 'constants', floatType, blockBytes: 1 << 16 });
    this.rope = ropeTable(config.maxSeqLen, headDimOf(config), config.ropeTheta, (n) => ropeArena.floats(n));
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
    const packed = { kind: 'packed', positions: rows.positions, firstKey: rows.firstKey } as const;
    const expertCounts: Int32Array[] = [];
    let balanceLoss = 0;
    let x = tape.layer('embedding', () => embedding(tape, this.table.tensor, rows.tokens));
    for (const [i, block] of this.blocks.entries()) {
      const parts = forwardBlock(tape, block, x, packed, this.rope, balanceWeight, balanceScale);
      const output = yield* tape.layerInParts(`blocks.${i}`, parts);
      x = output.y;
      expertCounts.push(output.counts);
      balanceLoss += output.balanceLoss;
    }
    x = tape.layer('norm_f', () => this.finalNorm.forward(tape, x));
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
    let x = embedding(tape, this.table.tensor, tokens);
    this.blocks.forEach((block, i) => {
      const normed = block.norm1.forward(tape, x);
      x = residualAdd(
        tape,
        x,
        block.attention.forwardCached(tape, normed, rows, this.rope, cache.layers[i]!),
      );
      x = residualAdd(tape, x, block.experts.forward(tape, block.norm2.forward(tape, x), 0, 0).y);
    });
    const { dModel } = this.config;
    const wanted = tape.output([logitRows.length, dModel]);
    this.kernels.gatherRows(wanted.data, x.data, logitRows, logitRows.length, dModel);
    return linear(tape, this.finalNorm.forward(tape, wanted), this.head).data;
  }
}

function* forwardBlock(
  tape: Tape,
  { norm1, attention, norm2, experts }: Block,
  x: Tensor,
  rows: PackedRows,
  rope: RopeTable,
  balanceWeight: number,
  balanceScale: number,
): Parts<ExpertsOutput> {
  const normed = tape.layer('norm_1', () => norm1.forward(tape, x));
  const mixed = residualAdd(
    tape,
    x,
    tape.layer('attention', () => attention.forward(tape, normed, rows, rope)),
  );
  yield;
  const normedAgain = tape.layer('norm_2', () => norm2.forward(tape, mixed));
  const output = tape.layer('experts', () => experts.forward(tape, normedAgain, balanceWeight, balanceScale));
  yield;
  return { ...output, y: residualAdd(tape, mixed, output.y) };
}

function createBlock(
  store: ParameterStore,
  config: ModelConfig,
  layer: number,
  precisions: { readonly precision: Precision; readonly format: PackedFormat },
): Block {
  const { dModel, numHeads: heads, kvHeads, ffn, numLayers } = config;
  const headDim = headDimOf(config);
  const depthScale = 1 / Math.sqrt(2 * numLayers);
  const name = `blocks.${layer}`;
  const std = stdOf(config, dModel);
  return {
    norm1: new Norm(store, `${name}.norm_1`, dModel, 'layernorm'),
    attention: new Attention(store, `${name}.attention`, {
      dModel,
      heads,
      kvHeads,
      headDim,
      clip: config.clipQkv ?? 0,
      std,
      outStd: stdOf(config, heads * headDim) * depthScale,
      ...precisions,
    }),
    norm2: new Norm(store, `${name}.norm_2`, dModel, 'layernorm'),
    experts: new Experts(store, `${name}.experts`, {
      ...ffn,
      dModel,
      std,
      outStd: stdOf(config, ffn.hidden) * depthScale,
      format: precisions.format,
    }),
  };
}

function stdOf(config: ModelConfig, inputs: number): number {
  return config.initStd ?? 1 / Math.sqrt(inputs);
}

function countTargets(targets: Int32Array): number {
  let count = 0;
  for (const target of targets) if (target >= 0) count++;
  return Math.max(1, count);
}
