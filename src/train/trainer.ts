/**
 * The training loop. See callback.ts for the hooks and their order. Where the model's kernels carry a tracer, it is told of
 * every step and its phases: data, forward, backward, clip, optimizer. The event loop turns every few hundredths of a second
 * within a step, so that signals, timers and messages are heard; an interruption ends the run after the step.
 *
 * A step is `batchSequences` sequences in microbatches; the loss is the mean over all counted tokens of the step, so
 * the split into microbatches changes nothing but rounding. Everything the next step depends on is in
 * (weights, optimizer state, data state, step, tokens, training seconds): see {@link Trainer.state}.
 */
import { assert, DabarexError, type Parts, Turns } from '../base/index.ts';
import { flopsPerToken, type TokenRows, type Transformer } from '../model/index.ts';
import { clipScale, gradientNorm, type Optimizer, scheduleAt } from '../optim/index.ts';
import { Tape, withinSpan } from '../tensor/index.ts';
import type { Callback, StepResult, TrainingState } from './callback.ts';
import type { TrainConfig } from './config.ts';
import type { Curriculum, Mix } from './curriculum.ts';
import { crossed, type Duration, measure, type Position, parseDuration } from './duration.ts';
import { LogWindow } from './log-window.ts';

/** Where batches come from; the stream room's dataset and loader are such. */
export interface TrainingData {
  /** the next sequences of the run, B·T rows; a promise where they are not there yet */
  nextBatch(numSequences: number, sequenceLength: number): TrainingRows | Promise<TrainingRows>;
  /**
   * The mix of domains of what follows, told before each step of a run that has a curriculum.
   * @param ahead the mix of the step so many steps later, as far as it is known now
   */
  setMix?(mix: Mix, ahead: (steps: number) => Mix): void;
}

/** `paddingRows`: of packed documents, rows that fill up sequences. */
export type TrainingRows = TokenRows & { readonly paddingRows?: number };

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
  /** which mix of domains when; absent: as the data has it */
  readonly curriculum?: Pick<Curriculum, 'phaseAt' | 'mixAt'>;
  /** bytes of text a token stands for on average in a mix; undefined: that of a run without curriculum */
  readonly bytesPerToken?: (mix: Mix | undefined) => number;
  /** where a resumed run stands */
  readonly start?: Pick<Position, 'step' | 'tokens' | 'trainingSeconds'> &
    Partial<Pick<TrainingState, 'unlogged'>>;
}

export class Trainer {
  private readonly options: TrainerOptions;
  private readonly duration: Duration;
  private readonly tape: Tape;
  private readonly window: LogWindow;
  private readonly turns: Turns;
  private step: number;
  private tokens: number;
  private trainingSeconds: number;
  private phase = -1;
  private mix: Mix | undefined;

  constructor(options: TrainerOptions) {
    const { model, config, start } = options;
    this.options = options;
    this.duration = parseDuration(config.duration);
    this.tape = new Tape(model.kernels);
    this.turns = new Turns(options.clock);
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
    return this.positionAhead(0);
  }

  /** Where the run will stand so many steps later; the clock is taken to stand still. */
  private positionAhead(steps: number): Position {
    const { batchSequences, sequenceLength } = this.options.config;
    const position = {
      step: this.step + steps,
      tokens: this.tokens + steps * batchSequences * sequenceLength,
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
      for (const callback of callbacks) await callback.stepStart?.(this.current);
      await this.chooseMix();
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

  private async chooseMix(): Promise<void> {
    const { curriculum, data, callbacks = [] } = this.options;
    if (!curriculum) return;
    const mix = curriculum.mixAt(this.position);
    this.mix = mix;
    data.setMix?.(mix, (steps) => curriculum.mixAt(this.positionAhead(steps)));
    const phase = curriculum.phaseAt(this.position);
    if (phase === this.phase) return;
    this.phase = phase;
    for (const callback of callbacks) await callback.phaseStarted?.(this.current, phase);
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
    const update = { rate, step: this.step + 1, gradScale };
    await this.phaseInParts('optimizer', optimizer.updateInParts(kernels, update));
    kernels.tracer?.leave();
    const seconds = clock() - started;
    this.step++;
    this.tokens += pass.tokens;
    this.trainingSeconds += seconds;
    const bytes = pass.tokens * (this.options.bytesPerToken?.(this.mix) ?? 0);
    return { ...pass, bytes, gradNorm, learningRate: config.optimizer.learningRate * rate, seconds };
  }

  /** Forward and backward of all microbatches of one step; leaves the step's gradients in the parameters. */
  private async accumulateGradients() {
    const { model, config } = this.options;
    const { batchSequences, sequenceLength, microbatchSequences = batchSequences } = config;
    const parts = batchSequences / microbatchSequences;
    const { batches, loaderSeconds } = await this.takeBatches(parts, microbatchSequences);
    const counted = batches.reduce((sum, batch) => sum + countTargets(batch.targets), 0);
    assert(counted > 0, 'a step without a single target');
    model.store.clearGradients();
    let lossNats = 0;
    let balanceLoss = 0;
    let expertCounts: Int32Array[] = [];
    for (const batch of batches) {
      const scales = { normalizer: counted, balanceScale: 1 / parts };
      const output = await this.phaseInParts('forward', model.forwardInParts(this.tape, batch, scales));
      await this.phaseInParts('backward', this.tape.backwardInParts(output.loss));
      lossNats += output.loss.data[0]!;
      balanceLoss += output.balanceLoss / parts;
      expertCounts = sumCounts(expertCounts, output.expertCounts);
      this.tape.reset();
      await this.turns.turn();
    }
    const paddingRows = batches.reduce((sum, batch) => sum + (batch.paddingRows ?? 0), 0);
    const tokens = batchSequences * sequenceLength;
    return { lossNats, balanceLoss, expertCounts, loaderSeconds, tokens, paddingRows };
  }

  /** The microbatches of a step, and how long it waited for them. */
  private async takeBatches(parts: number, numSequences: number) {
    const { model, data, config, clock } = this.options;
    const { tracer } = model.kernels;
    const started = clock();
    tracer?.enter('phase', 'data');
    const batches: TrainingRows[] = [];
    for (let part = 0; part < parts; part++) {
      batches.push(await data.nextBatch(numSequences, config.sequenceLength));
    }
    tracer?.leave();
    return { batches, loaderSeconds: clock() - started };
  }

  private phaseOfStep<T>(name: string, work: () => T): T {
    return withinSpan(this.options.model.kernels.tracer, 'phase', name, work);
  }

  /** As {@link phaseOfStep}; turns of the event loop count to the phase. */
  private async phaseInParts<T>(name: string, work: Parts<T>): Promise<T> {
    const { tracer } = this.options.model.kernels;
    tracer?.enter('phase', name);
    try {
      return await this.turns.run(work);
    } finally {
      tracer?.leave();
    }
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
