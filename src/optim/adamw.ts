/** AdamW (Loshchilov and Hutter 2019): decoupled weight decay, bias-corrected moments, one fused pass a parameter. */
import { finishParts, type Parts } from '../base/index.ts';
import { Arena, type FloatArray, type Kernels, type Parameter } from '../tensor/index.ts';
import type { Optimizer, OptimizerConfig, OptimizerState, UpdateOptions } from './optimizer.ts';

interface Moments {
  readonly parameter: Parameter;
  readonly m: FloatArray;
  readonly v: FloatArray;
}

export class AdamW implements Optimizer {
  readonly state: readonly OptimizerState[];
  private readonly config: OptimizerConfig;
  private readonly moments: readonly Moments[];

  constructor(parameters: readonly Parameter[], config: OptimizerConfig, kernels: Kernels) {
    const arena = new Arena(kernels, { kind: 'optimizer', blockBytes: 16 << 20 });
    this.config = config;
    this.moments = parameters.map((parameter) => {
      const { name, tensor } = parameter;
      return { parameter, m: arena.floats(tensor.size, name), v: arena.floats(tensor.size, name) };
    });
    this.state = this.moments.flatMap(({ parameter, m, v }) => [
      { name: `${parameter.name}.m`, data: m },
      { name: `${parameter.name}.v`, data: v },
    ]);
  }

  update(kernels: Kernels, options: UpdateOptions): void {
    finishParts(this.updateInParts(kernels, options));
  }

  *updateInParts(kernels: Kernels, { rate, step, gradScale }: UpdateOptions): Parts<void> {
    const { learningRate, beta1, beta2, epsilon, weightDecay } = this.config;
    for (const { parameter, m, v } of this.moments) {
      const { tensor, decay } = parameter;
      if (!tensor.hasGrad) continue;
      kernels.adamw(tensor.data, m, v, tensor.grad!, {
        learningRate: learningRate * rate,
        beta1,
        beta2,
        epsilon,
        weightDecay: decay ? weightDecay : 0,
        step,
        gradScale,
      });
      tensor.version++;
      yield;
    }
  }
}
