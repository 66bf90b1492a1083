/** Some training steps of a recipe under the profiler: on its prepared data where there is some, else on random tokens. */
import { DabarexError, Rng } from '../base/index.ts';
import { completeModelConfig, flopsPerToken, Transformer } from '../model/index.ts';
import { createOptimizer } from '../optim/index.ts';
import { StreamingDataset } from '../stream/index.ts';
import { createKernels, type Kernels, profiledKernels, resolvePrecision } from '../tensor/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import {
  type MachineLimits,
  normalise,
  type ProfileReport,
  Profiler,
  reportProfile,
  Trainer,
  type TrainingData,
} from '../train/index.ts';
import type { CliContext } from './context.ts';
import { type Recipe, requirePart, tokenizerVocabSize } from './recipe.ts';
import { makeTokenData, trainStreamsOf } from './stages/data.ts';

/** Long enough for several windows on a machine that also does other work. */
const LIMIT_MS = 150;
/** What says that there is no prepared data. */
const NOT_PREPARED: readonly string[] = ['documents_invalid', 'source_not_found'];

export interface ProfileSettings {
  readonly steps: number;
  readonly warmupSteps: number;
  readonly threads: number;
  /** random tokens even where the data is prepared */
  readonly randomTokens: boolean;
}

export interface RecipeProfile {
  readonly recipe: string;
  readonly engine: string;
  readonly precision: string;
  readonly threads: number;
  readonly data: 'prepared' | 'random';
  readonly tokensPerStep: number;
  readonly tokensPerSecond: number;
  readonly flopsPerToken: number;
  /** share of the peak that the model's FLOPs reach */
  readonly mfu: number;
  readonly limits: MachineLimits;
  readonly report: ProfileReport;
}

/** @throws config_invalid for a recipe without model or training, and what reading prepared data throws */
export async function profileRecipe(
  recipe: Recipe,
  settings: ProfileSettings,
  context: CliContext,
): Promise<{ profile: RecipeProfile; profiler: Profiler }> {
  const { steps, warmupSteps, threads } = settings;
  const engine = createKernels({ threads });
  const profiler = new Profiler({ nowMs: () => performance.now(), warmupSteps });
  const kernels = profiledKernels(engine, profiler);
  const limits = measureLimits(engine);
  const config = { ...requirePart(recipe, 'train'), duration: `${warmupSteps + steps}step` };
  const precision = resolvePrecision(kernels, config.precision);
  const prepared = settings.randomTokens ? undefined : await findPrepared(recipe, threads, context);
  const vocabSize = prepared?.tokenizer.vocabSize ?? tokenizerVocabSize(recipe.tokenizer);
  const modelConfig = completeModelConfig(requirePart(recipe, 'model'), vocabSize);
  const data = prepared?.open() ?? randomData(modelConfig.vocabSize, recipe.seed);
  try {
    const model = new Transformer(modelConfig, kernels, { precision, trainable: true, seed: recipe.seed });
    const optimizer = createOptimizer(model.parameters, config.optimizer, kernels, precision);
    const clock = () => performance.now() / 1000;
    const first = prepared && recipe.data?.curriculum?.[0];
    const mix = first && normalise(first.weights);
    const curriculum = mix && { phaseAt: () => 0, mixAt: () => mix };
    const { interrupted: signal } = context;
    await new Trainer({ model, optimizer, config, data, curriculum, clock, signal }).run();
  } finally {
    data.close();
  }
  context.interrupted.throwIfAborted();
  const report = reportProfile(profiler, limits);
  const tokensPerStep = config.batchSequences * config.sequenceLength;
  const tokensPerSecond = (tokensPerStep * 1000) / (report.stepMs - report.profiler.ms);
  const { training } = flopsPerToken(modelConfig, config.sequenceLength);
  const profile: RecipeProfile = {
    recipe: recipe.name,
    engine: engine.name,
    precision,
    threads,
    data: prepared ? 'prepared' : 'random',
    tokensPerStep,
    tokensPerSecond,
    flopsPerToken: training,
    mfu: (tokensPerSecond * training) / limits.peakFlops[precision],
    limits,
    report,
  };
  return { profile, profiler };
}

function measureLimits(kernels: Kernels): MachineLimits {
  return {
    peakFlops: {
      f32: kernels.measurePeakFlops('f32', LIMIT_MS),
      bf16: kernels.measurePeakFlops('bf16', LIMIT_MS),
    },
    readBandwidth: kernels.measureReadBandwidth(LIMIT_MS),
  };
}

type ProfiledData = TrainingData & { close(): void };

/** The token shards that an earlier run of the same data, tokenizer and sequence length has left; nothing is fetched. */
async function findPrepared(
  recipe: Recipe,
  threads: number,
  context: CliContext,
): Promise<{ tokenizer: Tokenizer; open: () => ProfiledData } | undefined> {
  if (!recipe.data?.domains || !recipe.tokenizer) return undefined;
  const log = () => undefined;
  const caller = { recipe, context, threads, log, reusableStage: aside };
  try {
    const data = await makeTokenData(caller, { onlyFinished: true });
    const { tokenizer } = data;
    // Of domains, which are prepared as shards: never text files.
    const streams = trainStreamsOf(data) as Record<string, string>;
    const { seed } = recipe;
    const open = () => new StreamingDataset({ streams, seed, endOfText: tokenizer.endOfTextId });
    return { tokenizer, open };
  } catch (error) {
    const isAbsent = error instanceof DabarexError && NOT_PREPARED.includes(error.code);
    if (isAbsent) return undefined;
    throw error;
  }
}

/** A stage without events. */
function aside<T>(_: string, work: (begin: () => void) => Promise<T>): Promise<T> {
  return work(() => undefined);
}

/** Every token as likely as any other; one document per sequence. */
function randomData(vocabSize: number, seed: number): ProfiledData {
  const rng = new Rng(seed);
  return {
    close: () => undefined,
    nextBatch(numSequences, sequenceLength) {
      const rows = Int32Array.from({ length: numSequences * sequenceLength }, (_, row) => row);
      return {
        tokens: rows.map(() => rng.below(vocabSize)),
        targets: rows.map(() => rng.below(vocabSize)),
        positions: rows.map((row) => row % sequenceLength),
        firstKey: rows.map((row) => row - (row % sequenceLength)),
      };
    },
  };
}
