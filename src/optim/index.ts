import type { Kernels, Parameter, Precision } from '../tensor/index.ts';
import { AdamW } from './adamw.ts';
import { Muon } from './muon.ts';
import type { Optimizer, OptimizerConfig } from './optimizer.ts';

export { clipScale, gradientNorm } from './clip.ts';
export {
  type Optimizer,
  type OptimizerConfig,
  type OptimizerState,
  optimizerConfigSchema,
  type UpdateOptions,
} from './optimizer.ts';
export { type ScheduleConfig, scheduleAt, scheduleConfigSchema } from './schedule.ts';
export { AdamW, Muon };

/** The optimizer a recipe asks for; `precision` is of Muon's products. */
export function createOptimizer(
  parameters: readonly Parameter[],
  config: OptimizerConfig,
  kernels: Kernels,
  precision: Precision,
): Optimizer {
  return config.kind === 'muon'
    ? new Muon(parameters, config, kernels, precision)
    : new AdamW(parameters, config, kernels);
}
