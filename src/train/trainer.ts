/**
 * The training loop. See callback.ts for the hooks and their order. Where the model's kernels carry a tracer, it is told of
 * every step and its phases: data, forward, backward, clip, optimizer.
 *
 * A step is `batchSequences` sequences in microbatches; the loss is the mean over all counted tokens of the step, so
 * the split into microbatches changes nothing but rounding. Everything the next step depends on is in
 * (weights, optimizer state, data state, step, tokens, training seconds): see {@link Trainer.state}.
 */
import { assert, DabarexError } from '../base/index.ts';
import { flopsPerToken, type TokenRows, type Transformer } from '../model/index.ts';
import { clipScale, gradientNorm, type Optimizer, scheduleAt } from '../optim/index.ts';
import { Tape, withinSpan } from '../tensor/index.ts';
import type { Callback, StepResult, TrainingState } from './callback.ts';
import type { TrainConfig } from './config.ts';
import { crossed, type Duration, measure, type Position, parseDuration } from './duration.ts';
import { LogWindow } from './log-window.ts';

/** Where batches come from; the stream room's dataset is one. */
export interface TrainingData {
  /** the next sequences of the run, B·T rows */
  nextBatch(numSequences: number, sequenceLength: number): TokenRows;
  /** chooses the mix for what follows: relative weights of the domains, one left out has 0; never called without phases */
  setMix(weights: Readonly<Record<string, number>>): void;
}

export interface TrainerOptions {
  readonly model: Transformer;
  readonly data: TrainingData;
  readonly optimizer: Optimizer;
  readonly config: TrainConfig;
  readonly callbacks?: readonly Callback[];
  /** seconds from any fixed point; only differences are used */
  readonly clock: () => number;
  /** aborting ends the run after the current step with a checkpoint */
  readonly signal?: AbortSignal;
  /** highest FLOP/s of this machine in the run's precision, for `mfu` */
  readonly peakFlops?: number;
  /** bytes of text a token stands for on average in the mix of a phase */
  readonly bytesPerToken?: (phase: number) => number;
  /** where a resumed run stands */
  readonly start?: Pick<Position, 'step' | 'tokens' | 'trainingSeconds'> &
    Partial<Pick<TrainingState, 'unlogged'>>;
}

export class Trainer {
  private readonly options: TrainerOptions;
  private readonly duration: Duration;
  private readonly tape: Tape;
  private readonly window: LogWindow;
  private step: number;
  private tokens: number;
  private trainingSeconds: number;
  private phase = -1;

  constructor(options: TrainerOptions) {
    const { model, config, start } = options;
    this.options = options;
    this.duration = parseDuration(config.duration);
    this.tape = new Tape(model.kernels);
    const logged = {
      flopsPerToken: flopsPerToken(model.config, config.sequenceLength).training,
      peakFlops: options.peakFlops ?? 0,
    };
    this.window = new LogWindow(logged, start?.unlogged);
    this.step = start?.step ?? 0;
    this.tokens = start?.tokens ?? 0;
    this.trainingSeconds = start?.trainingSeconds ?? 0;
  }

  get position(): Position {
    const position = {
      step: this.step,
      tokens: this.tokens,
      trainingSeconds: this.trainingSeconds,
      progress: 0,
    };
    return { ...position, progress: Math.min(1, measure(this.duration, position) / this.duration.value) };
  }

  /** Runs to the end of `config.duration`, or to an abort. */
  async run(): Promise<'completed' | 'interrupted'> {
    const { config, callbacks = [], signal } = this.options;
    const intervals = {
      logPoint: parseDuration(config.logInterval),
      evaluate: parseDuration(config.evalInterval),
      sample: parseDuration(config.sampleInterval),
      checkpoint: parseDuration(config.checkpointInterval),
    };
    for (const callback of callbacks) await callback.fitStart?.(this.current);
    while (this.position.progress < 1 && !signal?.aborted) {
      await this.enterPhase();
      const before = this.position;
      const result = await this.trainStep();
      this.window.add(result);
      for (const callback of callbacks) await callback.stepEnd?.(this.current, result);
      const after = this.position;
      const last = after.progress >= 1;
      const due = (interval: Duration) => last || crossed(interval, before, after);
      if (due(intervals.logPoint)) await this.logPoint();
      if (due(intervals.evaluate)) for (const callback of callbacks) await callback.evaluate?.(this.current);
      if (due(intervals.sample)) for (const callback of callbacks) await callback.sample?.(this.current);
      if (due(intervals.checkpoint) || signal?.aborted) {
        this.requireFiniteWeights();
        for (const callback of callbacks) await callback.checkpoint?.(this.current);
      }
    }
    const outcome = this.position.progress >= 1 ? 'completed' : 'interrupted';
    for (const callback of callbacks) await callback.fitEnd?.(this.current, outcome);
    return outcome;
  }

  private get current(): TrainingState {
    return { model: this.options.model, position: this.position, unlogged: this.window.pending };
  }

  private async logPoint(): Promise<void> {
    if (this.window.isEmpty) return;
    const metrics = this.window.flush(this.position);
    for (const callback of this.options.callbacks ?? []) await callback.logPoint?.(this.current, metrics);
  }

  private async enterPhase(): Promise<void> {
    const phase = phaseAt(this.options.config, this.position.progress);
    if (phase === this.phase) return;
    this.phase = phase;
    const { config, data } = this.options;
    if (config.phases) data.setMix(config.phases[phase]!.weights);
    for (const callback of this.options.callbacks ?? []) await callback.phaseStarted?.(this.current, phase);
  }

  private async trainStep(): Promise<StepResult> {
    const { model, optimizer, config, clock } = this.options;
    const { kernels } = model;
    const started = clock();
    kernels.tracer?.enter('step', `step ${this.step + 1}`);
    const rate = scheduleAt(config.schedule, this.position.progress + this.halfStep());
    const pass = await this.accumulateGradients();
    const gradNorm = this.phaseOfStep('clip', () => gradientNorm(kernels, model.parameters));
    if (!Number.isFinite(pass.lossNats) || !Number.isFinite(gradNorm))
      this.failNotFinite(pass.lossNats, gradNorm);
    const gradScale = clipScale(gradNorm, config.gradClip);
    this.phaseOfStep('optimizer', () => optimizer.update(kernels, { rate, step: this.step + 1, gradScale }));
    kernels.tracer?.leave();
    const seconds = clock() - started;
    this.step++;
    this.tokens += pass.tokens;
    this.trainingSeconds += seconds;
    const bytes = pass.tokens * (this.options.bytesPerToken?.(this.phase) ?? 0);
    return { ...pass, bytes, gradNorm, learningRate: config.optimizer.learningRate * rate, seconds };
  }

  /**
   * Forward and backward of all microbatches of one step; leaves the step's gradients in the parameters. Gives way to
   * the event loop after each, so that a signal is heard.
   */
  private async accumulateGradients() {
    const { model, data, config, clock } = this.options;
    const { batchSequences, sequenceLength, microbatchSequences = batchSequences } = config;
    const parts = batchSequences / microbatchSequences;
    const started = clock();
    const batches = this.phaseOfStep('data', () =>
      Array.from({ length: parts }, () => data.nextBatch(microbatchSequences, sequenceLength)),
    );
    const loaderSeconds = clock() - started;
    const counted = batches.reduce((sum, batch) => sum + countTargets(batch.targets), 0);
    assert(counted > 0, 'a step without a single target');
    model.store.clearGradients();
    let lossNats = 0;
    let balanceLoss = 0;
    let expertCounts: Int32Array[] = [];
    for (const batch of batches) {
      const scales = { normalizer: counted, balanceScale: 1 / parts };
      const output = this.phaseOfStep('forward', () => model.forward(this.tape, batch, scales));
      this.phaseOfStep('backward', () => this.tape.backward(output.loss));
      lossNats += output.loss.data[0]!;
      balanceLoss += output.balanceLoss / parts;
      expertCounts = sumCounts(expertCounts, output.expertCounts);
      this.tape.reset();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return { lossNats, balanceLoss, expertCounts, loaderSeconds, tokens: batchSequences * sequenceLength };
  }

  private phaseOfStep<T>(name: string, work: () => T): T {
    return withinSpan(this.options.model.kernels.tracer, 'phase', name, work);
  }

  /** Half a step's share of the run, so that the schedule is sampled in the middle of a step and never at 0. */
  private halfStep(): number {
    const { unit, value } = this.duration;
    if (unit === 's') return this.step === 0 ? 1e-3 : this.trainingSeconds / this.step / value / 2;
    const { batchSequences, sequenceLength } = this.options.config;
    return (unit === 'step' ? 0.5 : (batchSequences * sequenceLength) / 2) / value;
  }

  /** An update can overflow before the next loss shows it; such weights must not become a checkpoint. */
  private requireFiniteWeights(): void {
    const { model } = this.options;
    const broken = model.parameters.find(
      ({ tensor }) => !Number.isFinite(model.kernels.sumOfSquares(tensor.data)),
    );
    if (broken) throw diverged(`The weights of ${broken.name} overflowed`, this.step);
  }

  private failNotFinite(lossNats: number, gradNorm: number): never {
    throw diverged(`The loss became ${lossNats} (gradient norm ${gradNorm})`, this.step + 1);
  }
}

function diverged(problem: string, step: number): DabarexError {
  return new DabarexError(
    'training_diverged',
    `${problem} at step ${step}. The last checkpoint is intact; lower train.optimizer.learningRate or lengthen the ` +
      'warm-up and train again.',
    { step },
  );
}

/** Which phase of the curriculum `progress` lies in. */
export function phaseAt(config: TrainConfig, progress: number): number {
  let end = 0;
  const phases = config.phases ?? [];
  for (let i = 0; i < phases.length; i++) {
    end += phases[i]!.fraction;
    if (progress < end - 1e-9) return i;
  }
  return Math.max(0, phases.length - 1);
}

function countTargets(targets: Int32Array): number {
  let count = 0;
  for (const target of targets) if (target >= 0) count++;
  return count;
}

function sumCounts(sums: Int32Array[], counts: readonly Int32Array[]): Int32Array[] {
  if (sums.length === 0) return counts.map((count) => count.slice());
  counts.forEach((count, layer) => {
    count.forEach((value, e) => {
      sums[layer]![e]! += value;
    });
  });
  return sums;
}
