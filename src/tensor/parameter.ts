/** Named trainable tensors, in memory that lives as long as the model. */
import { assert, Rng, streamOf } from '../base/index.ts';
import { Arena, type FloatType } from './arena.ts';
import type { Kernels } from './kernels.ts';
import { sizeOf, Tensor } from './tensor.ts';

const BLOCK_BYTES = 16 << 20;

/** How a parameter starts: `normal` draws N(0, std²), `ones` is a norm's scale, `zeros` a bias. */
export type Init =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'ones' }
  | { readonly kind: 'zeros' };

export interface Parameter {
  /** unique in the model, e.g. `blocks.0.attn.qkv` */
  readonly name: string;
  readonly tensor: Tensor;
  readonly init: Init;
  /** whether weight decay applies (matrices: yes; norm scales: no) */
  readonly decay: boolean;
}

export interface ParameterStoreOptions {
  /** with gradients (training) or without (inference) */
  readonly trainable: boolean;
  readonly floatType?: FloatType;
}

/** Creates parameters and owns their memory. */
export class ParameterStore {
  readonly kernels: Kernels;
  readonly all: Parameter[] = [];
  private readonly trainable: boolean;
  private readonly data: Arena;
  private readonly gradients: Arena;

  constructor(kernels: Kernels, options: ParameterStoreOptions) {
    this.kernels = kernels;
    this.trainable = options.trainable;
    const { floatType } = options;
    this.data = new Arena(kernels, { kind: 'parameters', floatType, blockBytes: BLOCK_BYTES });
    this.gradients = new Arena(kernels, { kind: 'gradients', floatType, blockBytes: BLOCK_BYTES });
  }

  /** A new parameter, its values still unset: see {@link initialize}. */
  create(name: string, shape: readonly number[], init: Init, decay: boolean): Parameter {
    assert(!this.all.some((each) => each.name === name), `two parameters are named ${name}`);
    const tensor = new Tensor(this.data.floats(sizeOf(shape), name), shape, this.trainable);
    if (this.trainable) tensor.grad = this.gradients.floats(sizeOf(shape), name);
    const parameter = { name, tensor, init, decay };
    this.all.push(parameter);
    return parameter;
  }

  /** Draws every parameter's start from (seed, its name): independent of the order and of the other parameters. */
  initialize(seed: number): void {
    for (const { name, tensor, init } of this.all) {
      const rng = new Rng(seed, streamOf(name));
      if (init.kind !== 'normal') tensor.data.fill(init.kind === 'ones' ? 1 : 0);
      else for (let i = 0; i < tensor.size; i++) tensor.data[i] = init.std * rng.normal();
      tensor.version++;
    }
  }

  /** Marks every gradient as empty; the next contribution overwrites. */
  clearGradients(): void {
    for (const { tensor } of this.all) tensor.hasGrad = false;
  }
}
