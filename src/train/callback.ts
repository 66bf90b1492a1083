/**
 * What may be hooked into a training run. The order within a step:
 *
 *   fitStart
 *   while not done:
 *     stepStart             before the step's mix of data is chosen
 *     phaseStarted          a phase of the curriculum begins (also at the first step)
 *     ... microbatches: forward, backward; clip; optimizer ...
 *     stepEnd               the step's numbers are known
 *     logPoint              every logInterval: averages since the last one
 *     evaluate, sample      every evalInterval, sampleInterval, and at the end
 *     checkpoint            every checkpointInterval, at the end, and when interrupted
 *   fitEnd
 */
import type { Transformer } from '../model/index.ts';
import type { Position } from './duration.ts';

/** One line of metrics.jsonl; keys end in their unit, absent where not measured. */
export type Metrics = Record<string, number | readonly number[]>;

export interface TrainingState {
  readonly model: Transformer;
  readonly position: Position;
  /** steps since the last log point: a checkpoint keeps them, so that a resumed run logs the same averages */
  readonly unlogged: readonly StepResult[];
}

export interface StepResult {
  /** mean cross-entropy of the step's counted tokens */
  readonly lossNats: number;
  readonly balanceLoss: number;
  /** norm of the gradients before clipping */
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly tokens: number;
  /** of those, padding of packed documents; absent: 0 */
  readonly paddingRows?: number;
  /** of text, that the tokens stand for on average in the step's mix of domains; 0 where unknown */
  readonly bytes: number;
  readonly seconds: number;
  /** part of `seconds` spent waiting for data */
  readonly loaderSeconds: number;
  /** per layer: tokens every expert received */
  readonly expertCounts: readonly Int32Array[];
}

export interface Callback {
  fitStart?(state: TrainingState): void | Promise<void>;
  stepStart?(state: TrainingState): void | Promise<void>;
  phaseStarted?(state: TrainingState, phase: number): void | Promise<void>;
  stepEnd?(state: TrainingState, result: StepResult): void | Promise<void>;
  logPoint?(state: TrainingState, metrics: Metrics): void | Promise<void>;
  evaluate?(state: TrainingState): void | Promise<void>;
  sample?(state: TrainingState): void | Promise<void>;
  checkpoint?(state: TrainingState): void | Promise<void>;
  fitEnd?(state: TrainingState, outcome: 'completed' | 'interrupted'): void | Promise<void>;
}
