/** What a training run writes down and shows: metrics, events, checkpoints, evaluations, samples of generated text. */
import { codecOf, Engine } from '../../infer/index.ts';
import { Generator } from '../../model/index.ts';
import type { RunMetricsBody } from '../../runs/index.ts';
import type { Callback, Metrics, TrainConfig, TrainingState } from '../../train/index.ts';
import { parseDuration } from '../../train/index.ts';
import { formatShort } from '../output.ts';
import { requirePart } from '../recipe.ts';
import type { RunSession } from '../session.ts';
import { saveTraining, type TrainingParts } from './checkpoints.ts';
import type { TokenData } from './data.ts';
import { evaluateDomains, packingWindowOf } from './evaluation.ts';
import type { RunMix } from './mix.ts';

const SAMPLE_TOKENS = 64;

export interface RunCallbackOptions {
  readonly session: RunSession;
  /** without epochs: those are tokens */
  readonly config: TrainConfig;
  readonly parts: TrainingParts;
  readonly data: TokenData;
  readonly mix: RunMix;
  /** the checkpoint that training starts from says so */
  readonly evaluationDue: boolean;
}

/**
 * The one callback of a run. An evaluation that is interrupted leaves no line of metrics; the checkpoint says that it is due,
 * and the next call makes it first, so that the lines are those of a run that was never interrupted.
 */
export function runCallbacks(options: RunCallbackOptions): Callback {
  const { session, config, parts, data, mix, evaluationDue } = options;
  const { run, recipe } = session;
  const show = progressOf(session, config);
  let note = '';
  let isDue = evaluationDue;
  const evaluate = async (state: TrainingState) => {
    isDue = !(await evaluateHeldOut(session, state, data));
  };
  return {
    async fitStart(state) {
      if (isDue) await evaluate(state);
    },
    stepStart: ({ position }) => mix.look(position),
    phaseStarted({ position }, phase) {
      const { weights, ramp } = recipe.data?.curriculum?.[phase] ?? {};
      if (weights) run.appendEvent({ type: 'phase_started', phase, weights, ramp, step: position.step });
    },
    stepEnd: (state, { lossNats }) => show(state, note || `loss ${lossNats.toFixed(3)}`),
    logPoint(state, metrics) {
      run.appendMetrics(metrics as RunMetricsBody);
      note = noteOf(metrics);
      run.log(`step ${state.position.step}: ${note}`);
      show(state, note);
    },
    evaluate,
    async sample(state) {
      for (const [i, prompt] of config.prompts.entries()) {
        const text = await generateSample(parts, state, prompt, recipe.seed + i);
        run.appendEvent({ type: 'sample', step: state.position.step, prompt, text });
        session.log(`sample: ${prompt}${text.replaceAll('\n', ' ')}`);
      }
    },
    checkpoint(state) {
      const changedMix = mix.schedule.changedMixAt(state.position.step);
      const saved = { ...state, evaluationDue: isDue, changedMix };
      const path = saveTraining(run.path, parts, saved, config.keepCheckpoints);
      run.appendEvent({ type: 'checkpoint_saved', step: state.position.step, path });
    },
  };
}

/** An evaluation during training. @returns false where it was interrupted, and nothing was written */
async function evaluateHeldOut(
  { run, recipe, context, log }: RunSession,
  { model, position }: TrainingState,
  data: TokenData,
): Promise<boolean> {
  const { sequenceLength, evalTokens: maxTokens } = requirePart(recipe, 'train');
  const signal = context.interrupted;
  if (signal.aborted) return false;
  const domains = await evaluateDomains(model, data, {
    sequenceLength,
    maxTokens,
    packingWindow: packingWindowOf(recipe),
    signal,
  });
  if (signal.aborted) return false;
  const results = Object.entries(domains);
  if (results.length === 0) return true;
  const loss = results.reduce((sum, [, each]) => sum + each.loss_nats, 0) / results.length;
  const bits = Object.fromEntries(
    results.map(([domain, each]) => [`eval_bits_per_byte.${domain}`, each.bits_per_byte]),
  );
  run.appendMetrics({ step: position.step, tokens: position.tokens, loss_eval_nats: loss, ...bits });
  const shown = results.map(([domain, each]) => `${domain} ${each.bits_per_byte.toFixed(3)}`).join(', ');
  log(`step ${position.step}: held-out bits/byte ${shown}`);
  return true;
}

/** Draws the bar: tokens where the run is measured in tokens or steps, else seconds. */
function progressOf(session: RunSession, config: TrainConfig): (state: TrainingState, note: string) => void {
  const { unit, value } = parseDuration(config.duration);
  const tokensPerStep = config.batchSequences * config.sequenceLength;
  const total = unit === 's' ? value : unit === 'step' ? value * tokensPerStep : value;
  return ({ position }, note) => {
    const done = Math.min(total, unit === 's' ? position.trainingSeconds : position.tokens);
    session.report({ stage: 'train', done, total, unit: unit === 's' ? 'seconds' : 'tokens' }, note);
  };
}

function noteOf(metrics: Metrics): string {
  const number = (key: string) => metrics[key] as number | undefined;
  const parts = [
    `loss ${number('loss_train_nats')?.toFixed(3)}`,
    number('bits_per_byte_train') && `${number('bits_per_byte_train')!.toFixed(3)} bits/byte`,
    `${formatShort(number('tokens_per_second') ?? 0)} tok/s`,
    number('mfu') && `MFU ${(100 * number('mfu')!).toFixed(0)} %`,
    `lr ${number('learning_rate')?.toExponential(1)}`,
  ];
  return parts.filter(Boolean).join(', ');
}

/** A continuation at temperature 0.8 by the weights as they stand. */
async function generateSample(
  { model, tokenizer }: TrainingParts,
  { position }: TrainingState,
  prompt: string,
  seed: number,
): Promise<string> {
  const engine = new Engine(new Generator(model), codecOf(tokenizer, { chatTemplate: 'none' }), { slots: 1 });
  try {
    let text = '';
    const maxTokens = Math.min(SAMPLE_TOKENS, Math.floor(model.config.maxSeqLen / 2));
    const request = { prompt: { text: prompt }, maxTokens, temperature: 0.8, seed: seed + position.step };
    for await (const event of engine.generate(request)) if (event.type === 'delta') text += event.text;
    return text;
  } finally {
    engine.close();
  }
}
