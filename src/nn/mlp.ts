/**
 * The feed-forward layer of GPT-2 and MPT: two products with an activation between, no gate. Radford et al. 2019.
 * Legend: R rows, D model dim, F hidden dim.
 */
import {
  type Activation,
  type PackedFormat,
  type ParameterStore,
  type Tape,
  type Tensor,
  unary,
} from '../tensor/index.ts';
import { Linear } from './linear.ts';

export interface MlpConfig {
  readonly dModel: number;
  readonly hidden: number;
  readonly activation: Activation;
  readonly bias: boolean;
  readonly std: number;
  /** initial standard deviation of the down projection */
  readonly outStd: number;
  readonly format: PackedFormat;
}

export class Mlp {
  private readonly up: Linear;
  private readonly down: Linear;
  private readonly activation: Activation;

  constructor(store: ParameterStore, name: string, config: MlpConfig) {
    const { dModel, hidden, activation, bias, std, outStd, format } = config;
    this.up = new Linear(store, `${name}.up`, { inputs: dModel, outputs: hidden, std, format, bias });
    this.down = new Linear(store, `${name}.down`, {
      inputs: hidden,
      outputs: dModel,
      std: outStd,
      format,
      bias,
    });
    this.activation = activation;
  }

  /** [R, D] -> [R, D] */
  forward(tape: Tape, x: Tensor): Tensor {
    const h = tape.layer('up', () => this.up.forward(tape, x));
    const activated = tape.layer('activation', () => unary(tape, this.activation, h));
    return tape.layer('down', () => this.down.forward(tape, activated));
  }
}
