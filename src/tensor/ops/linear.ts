/**
 * Products with a weight matrix, prepacked once per optimizer step in both orientations.
 * Legend: R rows, K inputs, N outputs, G groups (experts), S rows sorted by group.
 */
import { assert } from '../../base/index.ts';
import type { FloatArray, Kernels, PackedFormat, PackedMatrix, Precision } from '../kernels.ts';
import type { Tape } from '../tape.ts';
import { asMatrix, type Tensor } from '../tensor.ts';

/** How a weight is stored: `out-in` is y = x · wᵀ with w [.., N, K]; `in-out` is y = x · w with w [.., K, N]. */
export type WeightLayout = 'out-in' | 'in-out';

/** A weight [N, K], [K, N] or, grouped, [G, N, K], [G, K, N], with its packed copies. */
export class PackedWeight {
  readonly tensor: Tensor;
  readonly format: PackedFormat;
  readonly layout: WeightLayout;
  readonly groups: number;
  readonly inputs: number;
  readonly outputs: number;
  private forwardPack: PackedMatrix | null = null;
  private backwardPack: PackedMatrix | null = null;
  private forwardVersion = -1;
  private backwardVersion = -1;

  /** `format`: one for weights only serves inference; there is no backward pass with it. */
  constructor(tensor: Tensor, format: PackedFormat, layout: WeightLayout = 'out-in') {
    const [rows, columns] = tensor.shape.slice(-2) as [number, number];
    this.tensor = tensor;
    this.format = format;
    this.layout = layout;
    this.groups = tensor.shape.length === 3 ? tensor.shape[0]! : 1;
    this.inputs = layout === 'out-in' ? columns : rows;
    this.outputs = layout === 'out-in' ? rows : columns;
  }

  /** Of the products of the backward pass. */
  get precision(): Precision {
    const { format } = this;
    assert(format === 'f32' || format === 'bf16', `weights kept as ${format} cannot be trained`);
    return format;
  }

  /** B of y = x · B, [K, N]. */
  forward(kernels: Kernels): PackedMatrix {
    this.forwardPack ??= kernels.createPacked(this.inputs, this.outputs, this.groups, this.format);
    if (this.forwardVersion !== this.tensor.version) {
      assert(this.tensor.data.length > 0, 'weights that are kept packed only were not filled');
      kernels.pack(this.forwardPack, this.tensor.data, this.layout === 'out-in');
      this.forwardVersion = this.tensor.version;
    }
    return this.forwardPack;
  }

  /** Packs `values` for the forward pass, of a tensor that keeps none of its own. */
  fill(kernels: Kernels, values: FloatArray): void {
    this.forwardPack ??= kernels.createPacked(this.inputs, this.outputs, this.groups, this.format);
    kernels.pack(this.forwardPack, values, this.layout === 'out-in');
    this.forwardVersion = this.tensor.version;
  }

  /** B of dx = dy · B, [N, K]. */
  backward(kernels: Kernels): PackedMatrix {
    this.backwardPack ??= kernels.createPacked(this.outputs, this.inputs, this.groups, this.precision);
    if (this.backwardVersion !== this.tensor.version) {
      kernels.pack(this.backwardPack, this.tensor.data, this.layout === 'in-out');
      this.backwardVersion = this.tensor.version;
    }
    return this.backwardPack;
  }
}

/** y[R, N] = x[R, K] · W. */
export function linear(tape: Tape, x: Tensor, weight: PackedWeight): Tensor {
  const { rows, dim } = asMatrix(x);
  assert(dim === weight.inputs, `linear: rows of ${dim} against a weight for ${weight.inputs}`);
  const { kernels } = tape;
  const { inputs: k, outputs: n } = weight;
  const y = tape.output([...x.shape.slice(0, -1), n], x, weight.tensor);
  kernels.gemmPacked(y.data, x.data, weight.forward(kernels), rows);
  tape.record(y, (dy) => {
    const dx = tape.gradOf(x);
    if (dx) kernels.gemmPacked(dx.grad, dy, weight.backward(kernels), rows, dx.accumulate);
    const dw = tape.gradOf(weight.tensor);
    if (!dw) return;
    const options = { k: rows, transA: true, accumulate: dw.accumulate, precision: weight.precision };
    if (weight.layout === 'out-in') kernels.gemm(dw.grad, dy, x.data, { m: n, n: k, ...options });
    else kernels.gemm(dw.grad, x.data, dy, { m: k, n, ...options });
  });
  return y;
}

/** y[S, N] = x[S, K] · W_g for the rows of every group g, rows offsets[g]..offsets[g + 1]. */
export function groupedLinear(tape: Tape, x: Tensor, weight: PackedWeight, offsets: Int32Array): Tensor {
  const { rows, dim } = asMatrix(x);
  assert(dim === weight.inputs, `groupedLinear: rows of ${dim} against weights for ${weight.inputs}`);
  const { kernels } = tape;
  const { inputs: k, outputs: n } = weight;
  const y = tape.output([rows, n], x, weight.tensor);
  kernels.groupedGemmPacked(y.data, x.data, weight.forward(kernels), offsets);
  tape.record(y, (dy) => {
    const dx = tape.gradOf(x);
    if (dx) kernels.groupedGemmPacked(dx.grad, dy, weight.backward(kernels), offsets, dx.accumulate);
    const dw = tape.gradOf(weight.tensor);
    if (!dw) return;
    const { grad, accumulate } = dw;
    const { precision } = weight;
    if (weight.layout === 'out-in') {
      kernels.groupedGemmTransposed(grad, dy, x.data, offsets, n, k, precision, accumulate);
    } else {
      kernels.groupedGemmTransposed(grad, x.data, dy, offsets, k, n, precision, accumulate);
    }
  });
  return y;
}
