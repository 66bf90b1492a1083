/** Named trainable tensors, in memory that lives as long as the model. */
import { assert, Rng, streamOf } from '../base/index.ts';
import { Arena, type FloatType } from './arena.ts';
import type { FloatArray, Kernels, PackedFormat } from './kernels.ts';
import { PackedWeight, type WeightLayout } from './ops/linear.ts';
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
  /** the copy that products read, of a matrix that nothing else reads */
  readonly packed?: PackedWeight;
}

export interface MatrixOptions {
  /** standard deviation of the initial weights */
  readonly std: number;
  readonly format: PackedFormat;
  /** default: out-in */
  readonly layout?: WeightLayout;
}

export interface ParameterStoreOptions {
  /** with gradients (training) or without (inference) */
  readonly trainable: boolean;
  readonly floatType?: FloatType;
  /** keep packed copies alone where nothing else is read: such parameters are filled by {@link fillParameter} only */
  readonly packedOnly?: boolean;
}

/** Creates parameters and owns their memory. */
export class ParameterStore {
  readonly kernels: Kernels;
  readonly all: Parameter[] = [];
  private readonly trainable: boolean;
  private readonly packedOnly: boolean;
  private readonly data: Arena;
  private readonly gradients: Arena;

  constructor(kernels: Kernels, options: ParameterStoreOptions) {
    this.kernels = kernels;
    this.trainable = options.trainable;
    this.packedOnly = options.packedOnly ?? false;
    assert(!(this.trainable && this.packedOnly), 'what is trained is kept');
    const { floatType } = options;
    this.data = new Arena(kernels, { kind: 'parameters', floatType, blockBytes: BLOCK_BYTES });
    this.gradients = new Arena(kernels, { kind: 'gradients', floatType, blockBytes: BLOCK_BYTES });
  }

  /** A new parameter, its values still unset: see {@link initialize}. */
  create(name: string, shape: readonly number[], init: Init, decay: boolean): Parameter {
    return this.add({ name, tensor: this.tensor(name, shape, true), init, decay });
  }

  /** A new matrix, or a group of them, that only products read: see {@link PackedWeight}. */
  createMatrix(name: string, shape: readonly number[], options: MatrixOptions): PackedWeight {
    const tensor = this.tensor(name, shape, !this.packedOnly);
    const packed = new PackedWeight(tensor, options.format, options.layout);
    this.add({ name, tensor, init: { kind: 'normal', std: options.std }, decay: true, packed });
    return packed;
  }

  private tensor(name: string, shape: readonly number[], kept: boolean): Tensor {
    assert(!this.all.some((each) => each.name === name), `two parameters are named ${name}`);
    const tensor = new Tensor(this.data.floats(kept ? sizeOf(shape) : 0, name), shape, this.trainable);
    if (this.trainable) tensor.grad = this.gradients.floats(sizeOf(shape), name);
    return tensor;
  }

  private add(parameter: Parameter): Parameter {
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

/** Packs the values of a parameter that keeps no others. `values` may be used again afterwards. */
export function fillParameter(
  { name, tensor, packed }: Parameter,
  values: FloatArray,
  kernels: Kernels,
): void {
  assert(values.length === tensor.size, `${values.length} values for ${name}, which has ${tensor.size}`);
  assert(packed && tensor.data.length === 0, `${name} keeps its values`);
  tensor.version++;
  packed.fill(kernels, values);
}
