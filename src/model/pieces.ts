/**
 * A model's weights as pieces: matrices and vectors that no format splits further, by names of ours, in Hugging Face's conventions
 * (rows are outputs; a head's rotated columns pair i with i + P/2). Formats put them together (weight-map.ts); where each lies
 * within the parameters of a {@link Transformer} stands here.
 * Legend: D model dim, C = (H + 2G)·P, F hidden dim of an expert, V vocabulary.
 */
import { hasRouter, type ModelConfig, traitsOfModel } from './config.ts';

export interface Piece {
  readonly name: string;
  /** row-major: [rows, columns] or [size] */
  readonly shape: readonly number[];
  /** the parameter that holds it, from element `offset` on */
  readonly parameter: string;
  readonly offset: number;
}

/** All pieces of a model, in the order of its layers. */
export function* piecesOf(config: ModelConfig): Generator<Piece> {
  const { vocabSize, dModel, maxSeqLen, numLayers, tieEmbeddings } = config;
  const { positions, normBias } = traitsOfModel(config);
  yield whole('embedding', [vocabSize, dModel]);
  if (positions === 'learned') yield whole('positions', [maxSeqLen, dModel]);
  for (let layer = 0; layer < numLayers; layer++) yield* blockPieces(config, `blocks.${layer}`);
  yield* norm('norm_f', dModel, normBias);
  if (!tieEmbeddings) yield whole('head', [vocabSize, dModel]);
}

function* blockPieces(config: ModelConfig, block: string): Generator<Piece> {
  const { dModel } = config;
  const { normBias, postNorms, ffn } = traitsOfModel(config);
  yield* norm(`${block}.norm_1`, dModel, normBias);
  yield* attentionPieces(config, `${block}.attention`);
  if (postNorms) yield* norm(`${block}.post_norm_1`, dModel, normBias);
  yield* norm(`${block}.norm_2`, dModel, normBias);
  yield* ffn === 'gated' ? expertPieces(config, `${block}.experts`) : plainPieces(config, `${block}.mlp`);
  if (postNorms) yield* norm(`${block}.post_norm_2`, dModel, normBias);
}

/** q, k and v, each some rows of one product, with their biases. */
function* attentionPieces(config: ModelConfig, name: string): Generator<Piece> {
  const { dModel, numHeads, kvHeads, headDim } = config;
  const { qkNorm, outBias, qkvBias } = traitsOfModel(config);
  const [queries, keys] = [numHeads * headDim, kvHeads * headDim];
  const parts = [
    ['q', queries, 0],
    ['k', keys, queries],
    ['v', keys, queries + keys],
  ] as const;
  for (const [part, rows, first] of parts) {
    yield {
      name: `${name}.${part}`,
      shape: [rows, dModel],
      parameter: `${name}.qkv`,
      offset: first * dModel,
    };
  }
  for (const [part, rows, first] of qkvBias ? parts : []) {
    yield { name: `${name}.${part}.bias`, shape: [rows], parameter: `${name}.qkv.bias`, offset: first };
  }
  yield whole(`${name}.out`, [dModel, queries]);
  if (outBias) yield whole(`${name}.out.bias`, [dModel]);
  if (qkNorm === 'none') return;
  yield whole(`${name}.q_norm`, [qkNorm === 'head' ? headDim : queries]);
  yield whole(`${name}.k_norm`, [qkNorm === 'head' ? headDim : keys]);
}

/** gate, up [F, D] and down [F, D] (y = h · down) of every expert. */
function* expertPieces(config: ModelConfig, name: string): Generator<Piece> {
  const { dModel, ffn } = config;
  const { hidden, numExperts, sharedHidden } = ffn;
  const size = hidden * dModel;
  if (hasRouter(config)) yield whole(`${name}.router`, [numExperts, dModel]);
  for (let e = 0; e < numExperts; e++) {
    const shape = [hidden, dModel];
    yield { name: `${name}.${e}.gate`, shape, parameter: `${name}.gate_up`, offset: 2 * e * size };
    yield { name: `${name}.${e}.up`, shape, parameter: `${name}.gate_up`, offset: (2 * e + 1) * size };
    yield { name: `${name}.${e}.down`, shape, parameter: `${name}.down`, offset: e * size };
  }
  if (sharedHidden === 0) return;
  const shape = [sharedHidden, dModel];
  const gateUp = `${name}.shared.gate_up`;
  yield { name: `${name}.shared.gate`, shape: [1, dModel], parameter: `${name}.shared.gate`, offset: 0 };
  yield { name: `${name}.shared.gated`, shape, parameter: gateUp, offset: 0 };
  yield { name: `${name}.shared.up`, shape, parameter: gateUp, offset: sharedHidden * dModel };
  yield whole(`${name}.shared.down`, [dModel, sharedHidden]);
}

function* plainPieces(config: ModelConfig, name: string): Generator<Piece> {
  const { dModel, ffn } = config;
  const { outBias } = traitsOfModel(config);
  yield whole(`${name}.up`, [ffn.hidden, dModel]);
  if (outBias) yield whole(`${name}.up.bias`, [ffn.hidden]);
  yield whole(`${name}.down`, [dModel, ffn.hidden]);
  if (outBias) yield whole(`${name}.down.bias`, [dModel]);
}

function* norm(name: string, dim: number, bias: boolean): Generator<Piece> {
  yield whole(name, [dim]);
  if (bias) yield whole(`${name}.bias`, [dim]);
}

function whole(name: string, shape: readonly number[]): Piece {
  return { name, shape, parameter: name, offset: 0 };
}
