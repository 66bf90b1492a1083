/**
 * The shape of a model, as a recipe writes it, and what follows from the shape alone: parameters, FLOPs, memory.
 * Nothing here allocates weights, so the published 132 B model is described as fast as a toy.
 */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';

/** no model is near it; beyond it sizes in bytes are no whole numbers any more */
const MAX_DIM = 2 ** 31 - 1;
const MAX_LAYERS = 10_000;
const MAX_PARAMETERS = 2 ** 48;

/** What parameters are counted by. */
interface ModelShape {
  readonly vocabSize: number;
  readonly dModel: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly kvHeads: number;
  readonly tieEmbeddings: boolean;
  readonly ffn: { readonly hidden: number; readonly numExperts: number; readonly topK: number };
}

const positive = z.number().int().positive().max(MAX_DIM);

export const ffnConfigSchema = z.strictObject({
  /** hidden dim of one expert */
  hidden: positive,
  /** 1 is a dense layer */
  numExperts: positive.default(1),
  /** experts per token */
  topK: positive.default(1),
  /** weight of the load-balancing loss; its value for a uniform load */
  lossWeight: z.number().nonnegative().default(0.05),
  /** divide the chosen experts' weights by their sum */
  normalizeWeights: z.boolean().default(true),
  activation: z.enum(['silu', 'gelu']).default('silu'),
});

export const modelConfigSchema = z
  .strictObject({
    family: z.literal('dbrx').default('dbrx'),
    /** absent: the tokenizer's */
    vocabSize: positive.optional(),
    dModel: positive,
    numLayers: positive.max(MAX_LAYERS),
    numHeads: positive,
    kvHeads: positive.optional(),
    maxSeqLen: positive,
    ropeTheta: z.number().positive().default(10_000),
    /** q, k and v are clamped to [-clipQkv, clipQkv]; null: not */
    clipQkv: z.number().positive().nullable().default(8),
    ffn: ffnConfigSchema,
    /** the input embedding is the output projection too; DBRX itself, and so Hugging Face's class of it, has two */
    tieEmbeddings: z.boolean().default(false),
    /** standard deviation of initial weights; absent: 1 / sqrt(inputs) of every matrix */
    initStd: z.number().positive().optional(),
  })
  .refine((config) => config.dModel % config.numHeads === 0, {
    message: 'dModel must be a multiple of numHeads',
    path: ['numHeads'],
  })
  .refine((config) => config.numHeads % (config.kvHeads ?? config.numHeads) === 0, {
    message: 'numHeads must be a multiple of kvHeads',
    path: ['kvHeads'],
  })
  .refine((config) => (config.dModel / config.numHeads) % 8 === 0, {
    message: 'dModel / numHeads (the head dim) must be a multiple of 8',
    path: ['numHeads'],
  })
  .refine((config) => config.ffn.topK <= config.ffn.numExperts, {
    message: 'topK must not exceed numExperts',
    path: ['ffn', 'topK'],
  })
  .refine(
    ({ vocabSize = 1, kvHeads, ...config }) =>
      isCountable({ ...config, vocabSize, kvHeads: kvHeads ?? config.numHeads }),
    {
      message: `the model would have more than ${MAX_PARAMETERS} parameters; make its dimensions smaller`,
      path: ['dModel'],
    },
  );

/** As a recipe writes it: vocabulary and key/value heads may be left out. */
export type ModelConfigInput = z.infer<typeof modelConfigSchema>;

/** Complete. */
export type ModelConfig = ModelConfigInput & { readonly vocabSize: number; readonly kvHeads: number };

/**
 * Completes a recipe's model by its tokenizer.
 * @throws config_invalid when the recipe's vocabulary is smaller than the tokenizer's
 */
export function completeModelConfig(input: ModelConfigInput, tokenizerVocabSize?: number): ModelConfig {
  const vocabSize = input.vocabSize ?? tokenizerVocabSize;
  if (vocabSize === undefined || (tokenizerVocabSize !== undefined && vocabSize < tokenizerVocabSize)) {
    throw new DabarexError(
      'config_invalid',
      `model.vocabSize is ${vocabSize ?? 'missing'} but the tokenizer has ${tokenizerVocabSize ?? 'no'} tokens. ` +
        'Leave it out, or give a size that holds them all.',
      { vocabSize, tokenizerVocabSize },
    );
  }
  return Object.freeze({ ...input, vocabSize, kvHeads: input.kvHeads ?? input.numHeads });
}

function isCountable(shape: ModelShape): boolean {
  return countParameters(shape).total <= MAX_PARAMETERS;
}

export function headDimOf(config: Pick<ModelShape, 'dModel' | 'numHeads'>): number {
  return config.dModel / config.numHeads;
}

export interface ParameterCount {
  readonly total: number;
  /** used for one token: of the experts only topK */
  readonly active: number;
  /** active without the input embedding, whose look-up costs no product; tied, it counts as the output projection */
  readonly activeInProducts: number;
}

/** Counts parameters of the DBRX layout: fused QKV, GLU experts, norms without bias, embeddings tied or not. */
export function countParameters(config: ModelShape): ParameterCount {
  const { dModel, numLayers, numHeads, kvHeads, vocabSize, ffn, tieEmbeddings } = config;
  const headDim = headDimOf(config);
  const attention = dModel * (numHeads + 2 * kvHeads) * headDim + numHeads * headDim * dModel;
  const expert = 3 * dModel * ffn.hidden;
  const shared = attention + 2 * dModel + ffn.numExperts * dModel;
  const table = vocabSize * dModel;
  const outer = (tieEmbeddings ? 1 : 2) * table + dModel;
  const total = outer + numLayers * (shared + ffn.numExperts * expert);
  const active = outer + numLayers * (shared + ffn.topK * expert);
  return { total, active, activeInProducts: tieEmbeddings ? active : active - table };
}

export interface FlopsPerToken {
  readonly forward: number;
  /** forward and backward: three times the forward pass, nothing recomputed */
  readonly training: number;
}

/**
 * FLOPs of one token in a sequence of `sequenceLength`: 2 per active parameter in products, plus the causal half of
 * attention's two products (sequenceLength / 2 keys on average).
 */
export function flopsPerToken(config: ModelConfig, sequenceLength: number): FlopsPerToken {
  const { activeInProducts } = countParameters(config);
  const attention = config.numLayers * 2 * 2 * config.dModel * (sequenceLength / 2);
  const forward = 2 * activeInProducts + attention;
  return { forward, training: 3 * forward };
}

export interface MemoryEstimate {
  readonly weightsBf16Bytes: number;
  readonly weightsF32Bytes: number;
  /** keys and values of one token, f32 */
  readonly cacheBytesPerToken: number;
  /** f32 master weights, gradients and both AdamW moments, plus packed copies of the matrices in bf16 */
  readonly trainingStateBytes: number;
}

export function estimateMemory(config: ModelConfig): MemoryEstimate {
  const { total } = countParameters(config);
  return {
    weightsBf16Bytes: total * 2,
    weightsF32Bytes: total * 4,
    cacheBytesPerToken: config.numLayers * 2 * config.kvHeads * headDimOf(config) * 4,
    trainingStateBytes: total * (4 * 4 + 2 * 2),
  };
}
