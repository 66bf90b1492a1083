/** Layer norm or RMS norm with a trained scale, and a bias where the model has one. */
import {
  addBias,
  layerNorm,
  type Parameter,
  type ParameterStore,
  rmsNorm,
  type Tape,
  type Tensor,
} from '../tensor/index.ts';

export type NormKind = 'layernorm' | 'rmsnorm';

export interface NormOptions {
  readonly dim: number;
  readonly kind: NormKind;
  readonly epsilon: number;
  /** default: none */
  readonly bias?: boolean;
}

export class Norm {
  readonly weight: Parameter;
  private readonly bias: Parameter | undefined;
  private readonly kind: NormKind;
  private readonly epsilon: number;

  constructor(store: ParameterStore, name: string, { dim, kind, epsilon, bias = false }: NormOptions) {
    this.weight = store.create(name, [dim], { kind: 'ones' }, false);
    if (bias) this.bias = store.create(`${name}.bias`, [dim], { kind: 'zeros' }, false);
    this.kind = kind;
    this.epsilon = epsilon;
  }

  /** [.., D] -> [.., D] */
  forward(tape: Tape, x: Tensor): Tensor {
    const norm = this.kind === 'layernorm' ? layerNorm : rmsNorm;
    const y = norm(tape, x, this.weight.tensor, this.epsilon);
    return this.bias ? addBias(tape, y, this.bias.tensor) : y;
  }
}
