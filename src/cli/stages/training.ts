/** The stage `train` of a run: from its newest checkpoint, or from the start, to the end of its duration. */
import { DabarexError } from '../../base/index.ts';
import {
  completeModelConfig,
  countParameters,
  estimateMemory,
  type ModelConfig,
  Transformer,
} from '../../model/index.ts';
import { createOptimizer } from '../../optim/index.ts';
import { BatchLoader } from '../../stream/index.ts';
import { createKernels, type Kernels, type Precision, resolvePrecision } from '../../tensor/index.ts';
import { type Position, parseDuration, type TrainConfig, Trainer, withoutEpochs } from '../../train/index.ts';
import { formatBytes, formatCount } from '../output.ts';
import { requirePart } from '../recipe.ts';
import type { RunSession } from '../session.ts';
import { findResumePoint, type ResumePoint, restoreTraining, type TrainingParts } from './checkpoints.ts';
import { bytesPerTokenOf, samplesOf, type TokenData, trainStreamsOf } from './data.ts';
import { remoteOptionsOf } from './given-shards.ts';
import { RunMix } from './mix.ts';
import { runCallbacks } from './training-callbacks.ts';

const PEAK_MS = 150;
const START: Position = { step: 0, tokens: 0, trainingSeconds: 0, progress: 0 };

export interface TrainedModel {
  readonly model: Transformer;
  readonly step: number;
  readonly outcome: 'completed' | 'interrupted';
}

export async function trainModel(session: RunSession, data: TokenData): Promise<TrainedModel> {
  const { recipe, run } = session;
  const config = requirePart(recipe, 'train');
  const kernels = createKernels({ threads: session.threads });
  const precision = resolvePrecision(kernels, config.precision);
  const modelConfig = completeModelConfig(requirePart(recipe, 'model'), data.tokenizer.vocabSize);
  checkPrompts(config.prompts, data, modelConfig);
  const resume = findResumePoint(run.path);
  // What a checkpoint will overwrite need not be drawn first.
  const seed = resume ? undefined : recipe.seed;
  const parts = await createParts(session, data, modelConfig, kernels, precision, seed);
  try {
    return await train(session, data, parts, resume);
  } finally {
    await parts.data.close();
  }
}

/** The parts of a run whose batches come from a thread. */
type RunParts = TrainingParts & { readonly data: BatchLoader };

async function train(
  session: RunSession,
  data: TokenData,
  parts: RunParts,
  resume: ResumePoint | undefined,
): Promise<TrainedModel> {
  const { recipe, run } = session;
  const config = withoutEpochsOf(requirePart(recipe, 'train'), data);
  const { kernels, config: modelConfig } = parts.model;
  const precision = resolvePrecision(kernels, config.precision);
  if (resume?.reason) session.log(`Falling back to ${resume.dir}: ${resume.reason}`);
  if (resume) restoreTraining(resume, parts);
  const evaluationDue = resume?.evaluationDue === true && !isEvaluated(session, resume.step);
  if (resume && resume.progress >= 1 && !evaluationDue) {
    session.log(`Training is complete: ${resume.dir}`);
    return { model: parts.model, step: resume.step, outcome: 'completed' };
  }
  describe(session, modelConfig, kernels, precision, resume);
  const mix = new RunMix({
    run,
    train: requirePart(recipe, 'train'),
    curriculum: recipe.data?.curriculum,
    samples: samplesOf(data),
    start: { step: resume?.step ?? 0, changedMix: resume?.changedMix ?? null },
    log: session.log,
  });
  // So that the first step finds its batches, too.
  parts.data.setMix(mix.schedule.mixAt(resume ?? START));
  const announceStop = () =>
    session.log('Stopping after this step with a checkpoint. Ctrl-C again ends at once.');
  session.context.interrupted.addEventListener('abort', announceStop, { once: true });
  run.rewindMetrics(resume?.step ?? 0);
  try {
    return await session.stage('train', stageDetails(config, modelConfig), async () => {
      const trainer = new Trainer({
        model: parts.model,
        data: parts.data,
        optimizer: parts.optimizer,
        config,
        callbacks: [runCallbacks({ session, config, parts, data, mix, evaluationDue })],
        clock: () => performance.now() / 1000,
        signal: session.context.interrupted,
        peakFlops: kernels.measurePeakFlops(precision, PEAK_MS),
        curriculum: mix.schedule,
        bytesPerToken: (weights) => bytesPerTokenOf(data, weights),
        start: resume,
      });
      const outcome = await trainer.run();
      return { model: parts.model, step: trainer.position.step, outcome };
    });
  } finally {
    session.context.interrupted.removeEventListener('abort', announceStop);
  }
}

/** An epoch is as many tokens as all training samples hold. */
function withoutEpochsOf(config: TrainConfig, data: TokenData): TrainConfig {
  const samples = Object.values(samplesOf(data)).reduce((sum, each) => sum + each, 0);
  const tokens = (text: string) => withoutEpochs(text, samples * config.sequenceLength);
  return {
    ...config,
    duration: tokens(config.duration),
    logInterval: tokens(config.logInterval),
    evalInterval: tokens(config.evalInterval),
    sampleInterval: tokens(config.sampleInterval),
    checkpointInterval: tokens(config.checkpointInterval),
  };
}

/** Whether an evaluation during training has left its line for this step. */
function isEvaluated({ run }: RunSession, step: number): boolean {
  return run.readMetrics().values.some((each) => each.step === step && each.loss_eval_nats !== undefined);
}

/** Before hours of training rather than at the first sample. */
function checkPrompts(
  prompts: readonly string[],
  { tokenizer }: TokenData,
  { maxSeqLen }: ModelConfig,
): void {
  for (const [i, prompt] of prompts.entries()) {
    const { length } = tokenizer.encode(prompt);
    if (length < maxSeqLen) continue;
    throw new DabarexError(
      'context_length_exceeded',
      `train.prompts.${i} has ${length} tokens; the model’s context is ${maxSeqLen} tokens, prompt and ` +
        'sample together. Shorten the prompt.',
      { prompt: i, length, maxSeqLen },
    );
  }
}

async function createParts(
  session: RunSession,
  data: TokenData,
  modelConfig: ModelConfig,
  kernels: Kernels,
  precision: Precision,
  seed: number | undefined,
): Promise<RunParts> {
  const { recipe } = session;
  const config = requirePart(recipe, 'train');
  const opening = openLoader(session, data);
  try {
    const model = new Transformer(modelConfig, kernels, { precision, trainable: true, seed });
    const optimizer = createOptimizer(model.parameters, config.optimizer, kernels, precision);
    const loader = await opening;
    return { model, optimizer, data: loader, tokenizer: data.tokenizer, dataKey: data.key };
  } catch (error) {
    await opening.then(
      (loader) => loader.close(),
      () => undefined,
    );
    throw error;
  }
}

/** The thread that reads the run's batches ahead. @throws config_invalid, data_empty and what is wrong with the shards */
function openLoader({ recipe, context }: RunSession, data: TokenData): Promise<BatchLoader> {
  const {
    batchSequences,
    microbatchSequences = batchSequences,
    sequenceLength,
  } = requirePart(recipe, 'train');
  const { curriculum = [], stream } = requirePart(recipe, 'data');
  const { packing, packingWindow } = stream;
  const streams = trainStreamsOf(data);
  const readsText = Object.values(streams).some((each) => typeof each !== 'string');
  return BatchLoader.open({
    streams,
    tokenizerJson: readsText ? JSON.stringify(data.tokenizer) : undefined,
    seed: stream.seed ?? recipe.seed,
    endOfText: data.tokenizer.endOfTextId,
    vocabSize: data.tokenizer.vocabSize,
    order: stream,
    batchSequences,
    packing: packing === 'none' ? undefined : { windowSamples: packingWindow, sequenceLength },
    remote: remoteOptionsOf(context, stream),
    mixes: curriculum.map(({ weights }) => weights),
    numSequences: microbatchSequences,
    sequenceLength,
    batchesPerStep: batchSequences / microbatchSequences,
  });
}

function describe(
  session: RunSession,
  config: ModelConfig,
  kernels: Kernels,
  precision: Precision,
  resume: ResumePoint | undefined,
): void {
  const { total, active } = countParameters(config);
  const { numExperts, topK } = config.ffn;
  const memory = formatBytes(estimateMemory(config).trainingStateBytes);
  const experts = numExperts > 1 ? `${numExperts} experts, ${topK} per token` : 'dense';
  session.log(
    `Model: ${formatCount(total)} parameters, ${formatCount(active)} active (${experts}); ${memory} of training state. ` +
      `Engine: ${kernels.name}, ${precision}, ${kernels.threads} threads.`,
  );
  if (resume) session.log(`Continuing from step ${formatCount(resume.step)} (${resume.dir})`);
}

function stageDetails(config: TrainConfig, model: ModelConfig): Record<string, unknown> {
  const { total, active } = countParameters(model);
  const { unit, value } = parseDuration(config.duration);
  const tokensPerStep = config.batchSequences * config.sequenceLength;
  const steps = unit === 'step' ? value : unit === 'tok' ? Math.ceil(value / tokensPerStep) : undefined;
  const lengths = steps === undefined ? {} : { total_steps: steps, total_tokens: steps * tokensPerStep };
  return { ...lengths, parameters_total: total, parameters_active: active };
}
