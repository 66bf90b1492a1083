/** A matrix product with a trained weight [outputs, inputs], no bias. */
import {
  linear,
  type PackedFormat,
  PackedWeight,
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
}

export class Linear {
  readonly weight: Parameter;
  readonly packed: PackedWeight;

  constructor(store: ParameterStore, name: string, options: LinearOptions) {
    const { inputs, outputs, std, format } = options;
    this.weight = store.create(name, [outputs, inputs], { kind: 'normal', std }, true);
    this.packed = new PackedWeight(this.weight.tensor, format);
  }

  /** [.., inputs] -> [.., outputs] */
  forward(tape: Tape, x: Tensor): Tensor {
    return linear(tape, x, this.packed);
  }
}
