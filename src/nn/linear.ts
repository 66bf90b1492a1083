/** A matrix product with a trained weight [outputs, inputs], and a bias [outputs] where the model has one. */
import {
  addBias,
  linear,
  type PackedFormat,
  type PackedWeight,
  type Parameter,
  type ParameterStore,
  type Tape,
  type Tensor,
} from '../tensor/index.ts';

export interface LinearOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** standard deviation of the initial weights */
  readonly std: number;
  readonly format: PackedFormat;
  /** default: none */
  readonly bias?: boolean;
}

export class Linear {
  private readonly weight: PackedWeight;
  private readonly bias: Parameter | undefined;

  constructor(store: ParameterStore, name: string, options: LinearOptions) {
    const { inputs, outputs, std, format, bias = false } = options;
    this.weight = store.createMatrix(name, [outputs, inputs], { std, format });
    if (bias) this.bias = store.create(`${name}.bias`, [outputs], { kind: 'zeros' }, false);
  }

  /** [.., inputs] -> [.., outputs] */
  forward(tape: Tape, x: Tensor): Tensor {
    const y = linear(tape, x, this.weight);
    return this.bias ? addBias(tape, y, this.bias.tensor) : y;
  }
}
