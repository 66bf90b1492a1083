/** Layer norm or RMS norm with a trained scale and no bias. */
import {
  layerNorm,
  type Parameter,
  type ParameterStore,
  rmsNorm,
  type Tape,
  type Tensor,
} from '../tensor/index.ts';

export type NormKind = 'layernorm' | 'rmsnorm';

export class Norm {
  readonly weight: Parameter;
  private readonly kind: NormKind;
  private readonly epsilon: number;

  constructor(store: ParameterStore, name: string, dim: number, kind: NormKind, epsilon = 1e-5) {
    this.weight = store.create(name, [dim], { kind: 'ones' }, false);
    this.kind = kind;
    this.epsilon = epsilon;
  }

  /** [.., D] -> [.., D] */
  forward(tape: Tape, x: Tensor): Tensor {
    const norm = this.kind === 'layernorm' ? layerNorm : rmsNorm;
    return norm(tape, x, this.weight.tensor, this.epsilon);
  }
}
