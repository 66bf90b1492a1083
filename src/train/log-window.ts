/** Averages of steps between two log points, as a line of metrics. */
import type { Metrics, StepResult } from './callback.ts';
import type { Position } from './duration.ts';

export interface WindowContext {
  /** training FLOPs of one token */
  readonly flopsPerToken: number;
  /** highest FLOP/s of this machine in the run's precision; 0 where unknown */
  readonly peakFlops: number;
}

export class LogWindow {
  private steps: StepResult[] = [];
  private readonly context: WindowContext;

  /** @param steps what a resumed run had not logged yet: {@link pending} when its checkpoint was saved */
  constructor(context: WindowContext, steps: readonly StepResult[] = []) {
    this.context = context;
    this.steps = [...steps];
  }

  /** Steps since the last log point. */
  get pending(): readonly StepResult[] {
    return this.steps;
  }

  add(result: StepResult): void {
    this.steps.push(result);
  }

  get isEmpty(): boolean {
    return this.steps.length === 0;
  }

  /** The averages since the last call; `eta_seconds` from the speed of the window. */
  flush(position: Position): Metrics {
    const steps = this.steps;
    this.steps = [];
    const last = steps[steps.length - 1]!;
    const total = (pick: (step: StepResult) => number) => steps.reduce((sum, step) => sum + pick(step), 0);
    const tokens = total((step) => step.tokens);
    const seconds = total((step) => step.seconds);
    const loss = total((step) => step.lossNats * step.tokens) / tokens;
    const bytes = total((step) => step.bytes);
    const { flopsPerToken, peakFlops } = this.context;
    const metrics: Metrics = {
      step: position.step,
      tokens: position.tokens,
      loss_train_nats: loss,
      loss_balance: total((step) => step.balanceLoss) / steps.length,
      grad_norm: last.gradNorm,
      learning_rate: last.learningRate,
      tokens_per_second: tokens / seconds,
      training_seconds: position.trainingSeconds,
      loader_stall_fraction: total((step) => step.loaderSeconds) / seconds,
    };
    const padding = total((step) => step.paddingRows ?? 0);
    if (padding > 0) metrics.padding_fraction = padding / tokens;
    if (bytes > 0) metrics.bits_per_byte_train = (loss * tokens) / Math.LN2 / bytes;
    if (peakFlops > 0) metrics.mfu = ((tokens / seconds) * flopsPerToken) / peakFlops;
    if (position.progress > 0) {
      metrics.eta_seconds = (position.trainingSeconds * (1 - position.progress)) / position.progress;
    }
    addExpertLoad(metrics, steps);
    return metrics;
  }
}

function addExpertLoad(metrics: Metrics, steps: readonly StepResult[]): void {
  const layers = steps[0]!.expertCounts.length;
  for (let layer = 0; layer < layers; layer++) {
    const sums = new Array<number>(steps[0]!.expertCounts[layer]!.length).fill(0);
    if (sums.length === 1) continue;
    for (const { expertCounts } of steps) {
      for (let e = 0; e < sums.length; e++) sums[e]! += expertCounts[layer]![e]!;
    }
    const total = sums.reduce((a, b) => a + b, 0);
    metrics[`expert_load.${layer}`] = sums.map((sum) => Number((sum / total).toFixed(5)));
  }
}
