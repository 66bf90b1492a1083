/**
 * One training step of a model as benches run it: forward, backward and AdamW on one batch of random tokens that stays the
 * same, so that the loss falls and shows that it learns. No clipping by the norm, which the peers do not do either.
 */
import { Rng } from '../src/base/index.ts';
import {
  completeModelConfig,
  flopsPerToken,
  type ModelConfig,
  modelConfigSchema,
  type TokenRows,
  Transformer,
} from '../src/model/index.ts';
import { createOptimizer, optimizerConfigSchema } from '../src/optim/index.ts';
import { type Kernels, type Precision, Tape } from '../src/tensor/index.ts';
import { type Limit, peakOf } from './measure.ts';

/** The GPT of train-dense and train-moe, the hidden layers aside: 2048 tokens a step. */
export const GPT = {
  dModel: 384,
  numLayers: 6,
  numHeads: 6,
  vocabSize: 4096,
  maxSeqLen: 256,
  tieEmbeddings: true,
  clipQkv: null,
  initStd: 0.02,
};
const SEQUENCES = 8;
/** how long a round repeats a step: two or three times */
export const WINDOW_MS = 2000;
export const LEARNING_RATE = 1e-3;
export const WEIGHT_DECAY = 0.1;

export class TrainingBench {
  readonly config: ModelConfig;
  readonly rows: TokenRows;
  readonly tokens: number;
  /** of every step so far */
  readonly losses: number[] = [];
  /** forward, backward and update; as a field, to be handed around */
  readonly step: () => void;

  constructor(kernels: Kernels, shape: object, precision: Precision, sequences = SEQUENCES) {
    this.config = completeModelConfig(modelConfigSchema.parse(shape));
    this.rows = randomRows(this.config, sequences);
    this.tokens = this.rows.tokens.length;
    const model = new Transformer(this.config, kernels, { precision, trainable: true, seed: 1 });
    const config = optimizerConfigSchema.parse({ learningRate: LEARNING_RATE, weightDecay: WEIGHT_DECAY });
    const optimizer = createOptimizer(model.parameters, config, kernels, precision);
    const tape = new Tape(kernels);
    this.step = () => {
      model.store.clearGradients();
      const { loss } = model.forward(tape, this.rows);
      tape.backward(loss);
      this.losses.push(loss.data[0]);
      optimizer.update(kernels, { rate: 1, step: this.losses.length, gradScale: 1 });
      tape.reset();
    };
  }

  /** The tokens a second of a step that is nothing but the multiply-adds of `flopsPerToken`, at their peak. */
  peak(kernels: Kernels, precision: Precision): Limit {
    const { training } = flopsPerToken(this.config, this.config.maxSeqLen);
    const { name, rate } = peakOf(kernels, precision);
    return {
      name: `${name} over ${(training / 1e6).toFixed(1)} MFLOP a token`,
      rate: async () => (await rate()) / training,
    };
  }
}

/** Whole sequences of random tokens, each row's target being the next token. */
function randomRows({ vocabSize, maxSeqLen }: ModelConfig, sequences: number): TokenRows {
  const rng = new Rng(1);
  const draw = () => rng.below(vocabSize);
  const tokens = Int32Array.from({ length: sequences * maxSeqLen }, draw);
  const targets = tokens.map((_, r) => ((r + 1) % maxSeqLen === 0 ? draw() : tokens[r + 1]));
  const positions = tokens.map((_, r) => r % maxSeqLen);
  return { tokens, targets, positions, firstKey: tokens.map((_, r) => r - (r % maxSeqLen)) };
}
