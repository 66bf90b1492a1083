/** What every optimizer does, and how a recipe chooses one. */
import { z } from 'zod';
import type { Parts } from '../base/index.ts';
import type { FloatArray, Kernels } from '../tensor/index.ts';

export const optimizerConfigSchema = z.strictObject({
  /** `muon` orthogonalises the updates of hidden matrices and uses AdamW for embeddings, head, router and norms */
  kind: z.enum(['adamw', 'muon']).default('adamw'),
  /** peak of the schedule */
  learningRate: z.number().positive().default(3e-3),
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1).default(0.95),
  epsilon: z.number().positive().default(1e-8),
  /** decoupled; of matrices only */
  weightDecay: z.number().nonnegative().default(0.1),
  /** Muon's momentum */
  momentum: z.number().min(0).lt(1).default(0.95),
  /** Muon: peak of the schedule for the AdamW parameters; absent: learningRate */
  adamLearningRate: z.number().positive().optional(),
});

export type OptimizerConfig = z.infer<typeof optimizerConfigSchema>;

export interface UpdateOptions {
  /** share of the peak learning rate, from the schedule */
  readonly rate: number;
  /** number of this update, from 1 */
  readonly step: number;
  /** gradients are multiplied by this first (clipping) */
  readonly gradScale: number;
}

/** A named array that must be saved to resume exactly. */
export interface OptimizerState {
  readonly name: string;
  readonly data: FloatArray;
}

export interface Optimizer {
  /** Updates every parameter that has a gradient, in place, and marks its packed copies stale. */
  update(kernels: Kernels, options: UpdateOptions): void;
  /** As {@link update}; may pause after every matrix. Weights are those of the update only once it is done. */
  updateInParts(kernels: Kernels, options: UpdateOptions): Parts<void>;
  /** The live arrays: written by a checkpoint, filled by a resume. */
  readonly state: readonly OptimizerState[];
}
