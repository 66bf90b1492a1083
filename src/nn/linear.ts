/** A matrix product with a trained weight [outputs, inputs], no bias. */
import {
  linear,
  PackedWeight,
  type Parameter,
  type ParameterStore,
  type Precision,
  type Tape,
  type Tensor,
} from '../tensor/index.ts';

export interface LinearOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** standard deviation of the initial weights */
  readonly std: number;
  readonly precision: Precision;
}

export class Linear {
  readonly weight: Parameter;
  readonly packed: PackedWeight;

  constructor(store: ParameterStore, name: string, options: LinearOptions) {
    const { inputs, outputs, std, precision } = options;
    this.weight = store.create(name, [outputs, inputs], { kind: 'normal', std }, true);
    this.packed = new PackedWeight(this.weight.tensor, precision);
  }

  /** [.., inputs] -> [.., outputs] */
  forward(tape: Tape, x: Tensor): Tensor {
    return linear(tape, x, this.packed);
  }
}
