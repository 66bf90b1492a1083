/**
 * Autograd: a tape of differentiable ops, eager. An op computes its output at once and records how to carry the
 * gradient back; `backward` runs the records in reverse. Nothing is zeroed: the first contribution to a gradient
 * overwrites, later ones accumulate (`gradOf` tells which).
 */
import { assert, finishParts, type Parts } from '../base/index.ts';
import { Arena, type FloatType } from './arena.ts';
import type { FloatArray, Kernels } from './kernels.ts';
import { sizeOf, Tensor } from './tensor.ts';

export interface TapeOptions {
  /** false for inference: ops record nothing */
  readonly recording?: boolean;
  /** f64 only with the reference kernels, for checking gradients */
  readonly floatType?: FloatType;
  readonly arena?: Arena;
}

const NO_LAYERS: readonly string[] = [];

export class Tape {
  readonly kernels: Kernels;
  readonly arena: Arena;
  readonly recording: boolean;
  private readonly records: (() => void)[] = [];
  /** names of the layers being computed, outermost first; empty where no tracer looks on */
  private layers = NO_LAYERS;

  constructor(kernels: Kernels, options: TapeOptions = {}) {
    this.kernels = kernels;
    this.arena = options.arena ?? new Arena(kernels, { floatType: options.floatType });
    this.recording = options.recording ?? true;
  }

  /** A tensor with a copy of `values`, valid until {@link reset}. */
  tensor(values: ArrayLike<number>, shape: readonly number[], requiresGrad = false): Tensor {
    const data = this.arena.floats(sizeOf(shape));
    assert(values.length === data.length, `${values.length} values do not fill the shape [${shape}]`);
    data.set(values);
    return new Tensor(data, shape, requiresGrad && this.recording);
  }

  /** An uninitialised output of an op over `inputs`: it requires a gradient when one of them does. */
  output(shape: readonly number[], ...inputs: readonly Tensor[]): Tensor {
    return this.wrap(this.arena.floats(sizeOf(shape)), shape, ...inputs);
  }

  /** As {@link output}, over memory the op already has. */
  wrap(data: FloatArray, shape: readonly number[], ...inputs: readonly Tensor[]): Tensor {
    return new Tensor(data, shape, this.recording && inputs.some((input) => input.requiresGrad));
  }

  /** Records the backward pass of `output`; it runs only if a gradient has reached the output. */
  record(output: Tensor, backward: (gradient: FloatArray) => void): void {
    if (!output.requiresGrad) return;
    const { layers } = this;
    this.records.push(() => {
      if (!output.hasGrad) return;
      this.moveTo(layers);
      backward(output.grad!);
    });
  }

  /** Runs `work`, whose ops, forward and backward, a profile counts to the layer `name` within the current one. */
  layer<T>(name: string, work: () => T): T {
    if (!this.kernels.tracer) return work();
    const outer = this.layers;
    this.moveTo([...outer, name]);
    const result = work();
    this.moveTo(outer);
    return result;
  }

  /** As {@link layer} for work that may pause. */
  *layerInParts<T>(name: string, work: Parts<T>): Parts<T> {
    if (!this.kernels.tracer) return yield* work;
    const outer = this.layers;
    this.moveTo([...outer, name]);
    const result = yield* work;
    this.moveTo(outer);
    return result;
  }

  /**
   * Where to put a contribution to `tensor`'s gradient: add it when `accumulate`, else overwrite. Null when the tensor
   * needs none.
   */
  gradOf(tensor: Tensor): { grad: FloatArray; accumulate: boolean } | null {
    if (!tensor.requiresGrad) return null;
    tensor.grad ??= this.arena.floats(tensor.size);
    const accumulate = tensor.hasGrad;
    tensor.hasGrad = true;
    return { grad: tensor.grad, accumulate };
  }

  /** As {@link gradOf} for kernels that always add: the gradient is zeroed first where it was empty. */
  addingGradOf(tensor: Tensor): FloatArray | null {
    const target = this.gradOf(tensor);
    if (!target) return null;
    if (!target.accumulate) this.kernels.fill(target.grad, 0);
    return target.grad;
  }

  /** Gives `gradient` itself to a tensor that has none yet, without a copy; adds where it has one. */
  passGrad(tensor: Tensor, gradient: FloatArray): void {
    if (!tensor.requiresGrad) return;
    if (tensor.grad === null) {
      tensor.grad = gradient;
      tensor.hasGrad = true;
      return;
    }
    const { grad, accumulate } = this.gradOf(tensor)!;
    this.kernels.scale(grad, gradient, 1, accumulate);
  }

  /** Carries the gradient of the scalar `loss` (times `scale`) back to every tensor that requires one. */
  backward(loss: Tensor, scale = 1): void {
    finishParts(this.backwardInParts(loss, scale));
  }

  /** As {@link backward}; may pause after every op. */
  *backwardInParts(loss: Tensor, scale = 1): Parts<void> {
    assert(this.recording, 'backward on a tape that does not record');
    assert(loss.size === 1, `backward needs a scalar, not [${loss.shape}]`);
    const target = this.gradOf(loss);
    if (target) target.grad[0] = scale;
    for (let i = this.records.length - 1; i >= 0; i--) {
      this.records[i]!();
      yield;
    }
    this.records.length = 0;
    this.moveTo(NO_LAYERS);
  }

  /** Forgets the records and frees all activations; tensors made on this tape must not be used any more. */
  reset(): void {
    this.records.length = 0;
    this.arena.reset();
  }

  /** Leaves and enters layers until those in progress are `layers`. */
  private moveTo(layers: readonly string[]): void {
    if (layers === this.layers) return;
    const tracer = this.kernels.tracer!;
    let shared = 0;
    while (shared < layers.length && layers[shared] === this.layers[shared]) shared++;
    for (let i = shared; i < this.layers.length; i++) tracer.leave();
    for (const name of layers.slice(shared)) tracer.enter('layer', name);
    this.layers = layers;
  }
}
