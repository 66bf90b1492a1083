/**
 * The shape of a model, as a recipe writes it. What a family leaves no choice in (families/traits.ts) is not written down;
 * what it has a usual value for may be left out.
 */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import type { Activation } from '../tensor/index.ts';
import { FAMILIES, type Setting, type Traits, traitsOf } from './families/traits.ts';
import { countParameters } from './size.ts';

/** no model is near it; beyond it sizes in bytes are no whole numbers any more */
const MAX_DIM = 2 ** 31 - 1;
const MAX_LAYERS = 10_000;
const MAX_PARAMETERS = 2 ** 48;

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
  /** divide the chosen experts' weights by their sum; absent: as the family does */
  normalizeWeights: z.boolean().optional(),
  /** absent: the family's */
  activation: z.enum(['silu', 'gelu', 'gelu-tanh']).optional(),
  /** hidden dim of the expert that every token takes; for families that have one */
  sharedHidden: positive.optional(),
});

const ropeScalingSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('linear'), factor: z.number().positive() }),
  z.strictObject({
    kind: z.literal('llama3'),
    factor: z.number().positive(),
    lowFreqFactor: z.number().positive(),
    highFreqFactor: z.number().positive(),
    originalMaxSeqLen: positive,
  }),
  z.strictObject({
    kind: z.literal('yarn'),
    factor: z.number().positive(),
    originalMaxSeqLen: positive,
    betaFast: z.number().positive().default(32),
    betaSlow: z.number().positive().default(1),
    attentionFactor: z.number().positive().optional(),
  }),
]);

const shapeSchema = z.strictObject({
  family: z.enum(FAMILIES).default('dbrx'),
  /** absent: the tokenizer's */
  vocabSize: positive.optional(),
  dModel: positive,
  numLayers: positive.max(MAX_LAYERS),
  numHeads: positive,
  kvHeads: positive.optional(),
  /** absent: dModel / numHeads */
  headDim: positive.optional(),
  maxSeqLen: positive,
  ropeTheta: z.number().positive().default(10_000),
  /** how positions were stretched after training */
  ropeScaling: ropeScalingSchema.nullable().default(null),
  /** absent: the family's */
  normEpsilon: z.number().positive().optional(),
  /** q, k and v are clamped to [-clipQkv, clipQkv]; null: not; absent: the family's */
  clipQkv: z.number().positive().nullable().optional(),
  /** a token attends so many, itself included; null: all before it */
  slidingWindow: positive.nullable().default(null),
  ffn: ffnConfigSchema,
  /** the input embedding is the output projection too; DBRX itself, and so Hugging Face's class of it, has two */
  tieEmbeddings: z.boolean().optional(),
  /** scores of attention stay within ± this; absent: the family's */
  scoreCap: z.number().positive().optional(),
  /** what embeddings and logits are multiplied by; absent: the family's */
  embeddingScale: z.number().positive().optional(),
  logitScale: z.number().positive().optional(),
  /** standard deviation of initial weights; absent: 1 / sqrt(inputs) of every matrix */
  initStd: z.number().positive().optional(),
});

type Shape = z.infer<typeof shapeSchema>;

export const modelConfigSchema = shapeSchema.superRefine((config, context) => {
  const refuse = (message: string, ...path: (string | number)[]) =>
    context.addIssue({ code: 'custom', message, path });
  const headDim = headDimOf(config);
  if (config.headDim === undefined && config.dModel % config.numHeads !== 0) {
    refuse('dModel must be a multiple of numHeads', 'numHeads');
  } else if (headDim % 8 !== 0 || headDim > 256) {
    refuse('the head dim (dModel / numHeads, or headDim) must be a multiple of 8, at most 256', 'numHeads');
  }
  if (config.numHeads % (config.kvHeads ?? config.numHeads) !== 0) {
    refuse('numHeads must be a multiple of kvHeads', 'kvHeads');
  }
  if (config.ffn.topK > config.ffn.numExperts) refuse('topK must not exceed numExperts', 'ffn', 'topK');
  for (const [message, ...path] of unfitting(config, traitsOf(config.family))) refuse(message, ...path);
  if (context.issues.length === 0 && countParameters(completed(config, 1)).total > MAX_PARAMETERS) {
    refuse(
      `the model would have more than ${MAX_PARAMETERS} parameters; make its dimensions smaller`,
      'dModel',
    );
  }
});

/** As a recipe writes it: what follows from the rest may be left out. */
export type ModelConfigInput = Shape;

/** Complete. */
export interface ModelConfig
  extends Omit<
    Required<Shape>,
    'ffn' | 'initStd' | 'scoreCap' // what may be absent still
  > {
  /** null: scores have no cap */
  readonly scoreCap: number | null;
  readonly ffn: {
    readonly hidden: number;
    readonly numExperts: number;
    readonly topK: number;
    readonly lossWeight: number;
    readonly normalizeWeights: boolean;
    readonly activation: Activation;
    /** 0: no such expert */
    readonly sharedHidden: number;
  };
  readonly initStd?: number;
}

const SETTINGS: readonly Setting[] = [
  'headDim',
  'ropeScaling',
  'normEpsilon',
  'clipQkv',
  'slidingWindow',
  'scoreCap',
  'embeddingScale',
  'logitScale',
  'normalizeWeights',
];

/** What the family has no place for: it would be lost in the model's files. */
function* unfitting(config: Shape, traits: Traits): Generator<[message: string, ...path: string[]]> {
  const { family, ffn } = config;
  const isDense = ffn.numExperts === 1;
  if (traits.experts === 'none' && !isDense) yield [`${family} has no experts`, 'ffn', 'numExperts'];
  if (traits.experts === 'some' && isDense) yield [`${family} has experts`, 'ffn', 'numExperts'];
  if (!traits.hasSharedExpert && ffn.sharedHidden !== undefined) {
    yield [`${family} has no expert that every token takes`, 'ffn', 'sharedHidden'];
  }
  if (ffn.activation !== undefined && !traits.activations.includes(ffn.activation)) {
    yield [`${family} takes ${traits.activations.join(' or ')}`, 'ffn', 'activation'];
  }
  const own = completed({ ...config, headDim: undefined }, 1);
  const given = { ...config, normalizeWeights: ffn.normalizeWeights };
  const usual = {
    ...traits,
    headDim: own.headDim,
    ropeScaling: null,
    slidingWindow: null,
  } as const;
  for (const setting of SETTINGS) {
    const value = given[setting];
    if (value === undefined || value === usual[setting] || traits.settings.includes(setting)) continue;
    yield [`${family} has no place for another ${setting} than ${usual[setting]}`, setting];
  }
}

/**
 * Completes a recipe's model by its family and its tokenizer.
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
  return Object.freeze(completed(input, vocabSize));
}

function completed(input: Shape, vocabSize: number): ModelConfig {
  const traits = traitsOf(input.family);
  const { ffn } = input;
  return {
    ...input,
    vocabSize,
    kvHeads: input.kvHeads ?? input.numHeads,
    headDim: headDimOf(input),
    normEpsilon: input.normEpsilon ?? traits.normEpsilon,
    clipQkv: input.clipQkv === undefined ? traits.clipQkv : input.clipQkv,
    tieEmbeddings: input.tieEmbeddings ?? traits.tieEmbeddings,
    scoreCap: input.scoreCap ?? traits.scoreCap,
    embeddingScale: input.embeddingScale ?? traits.embeddingScale,
    logitScale: input.logitScale ?? traits.logitScale,
    ffn: {
      ...ffn,
      normalizeWeights: ffn.normalizeWeights ?? traits.normalizeWeights,
      activation: ffn.activation ?? traits.activation,
      sharedHidden: ffn.sharedHidden ?? (traits.hasSharedExpert ? ffn.hidden * ffn.topK : 0),
    },
  };
}

function headDimOf(config: Pick<Shape, 'dModel' | 'numHeads' | 'headDim'>): number {
  return config.headDim ?? config.dModel / config.numHeads;
}

/** A model's traits: what its family leaves no choice in. */
export function traitsOfModel(config: Pick<ModelConfig, 'family'>): Traits {
  return traitsOf(config.family);
}

/** Whether layers have a router: DBRX with one expert, a dense model, has one too, since its files have a place for it. */
export function hasRouter({ family, ffn }: Pick<ModelConfig, 'family' | 'ffn'>): boolean {
  return ffn.numExperts > 1 || family === 'dbrx';
}
