/** A dense row-major array of floats with a shape and, where it is trained through, a gradient. */
import { assert } from '../base/index.ts';
import type { FloatArray } from './kernels.ts';

export class Tensor {
  readonly shape: readonly number[];
  readonly size: number;
  /** The engine's memory. Host code outside the tensor room reads through {@link read}. */
  readonly data: FloatArray;
  /** Gradient of the loss, same length as data; meaningful only where {@link hasGrad}. */
  grad: FloatArray | null = null;
  hasGrad = false;
  readonly requiresGrad: boolean;
  /** Grows whenever data changes outside an op (an optimizer step, a load), so that packed copies know. */
  version = 0;

  /** @param data empty for a weight of which only a packed copy is kept */
  constructor(data: FloatArray, shape: readonly number[], requiresGrad = false) {
    const size = sizeOf(shape);
    assert(
      data.length === size || data.length === 0,
      `${data.length} values do not fill the shape [${shape}]`,
    );
    this.size = size;
    this.data = data;
    this.shape = shape;
    this.requiresGrad = requiresGrad;
  }

  /** A copy of the values, for the host. */
  async read(): Promise<FloatArray> {
    return this.data.slice();
  }

  /** A copy of the gradient, for the host; null where none has been computed. */
  async readGrad(): Promise<FloatArray | null> {
    return this.hasGrad ? this.grad!.slice() : null;
  }
}

/** Number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dim) => size * dim, 1);
}

/** Rows and columns of a tensor seen as a matrix: all leading dims together, and the last one. */
export function asMatrix(tensor: Tensor): { rows: number; dim: number } {
  const dim = tensor.shape[tensor.shape.length - 1] ?? 1;
  return { rows: dim === 0 ? 0 : tensor.size / dim, dim };
}
