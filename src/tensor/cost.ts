/**
 * What every kernel has to do: floating-point operations of its products, and bytes it must move, by the arguments of the
 * call. The compiler refuses the table when a kernel is missing. Conventions: see {@link Cost}. Bytes are a lower bound, but
 * operands still in a cache from the kernel before move none from memory, so a share of the bandwidth may pass 1.
 * Not counted: scratch memory, padding of packed panels, keys and values that attention reads again for the next rows.
 * Legend: as in kernels.ts.
 */
import type { BlockKernels } from './block-format.ts';
import type {
  AttentionShape,
  ElementwiseKernels,
  FloatArray,
  LossKernels,
  MatrixKernels,
  PackedFormat,
  PackedMatrix,
  Precision,
  RoutingKernels,
  TransformerKernels,
} from './kernels.ts';
import type { Cost } from './tracer.ts';

export type ComputeKernels = Omit<MatrixKernels, 'createPacked'> &
  TransformerKernels &
  RoutingKernels &
  LossKernels &
  BlockKernels &
  ElementwiseKernels;
export type KernelName = keyof ComputeKernels;

/** Bytes of one packed element: for bf16 they depend on the hardware. */
export type PackedBytes = (format: PackedFormat) => number;

type CostTable = {
  readonly [N in KernelName]: (args: Parameters<ComputeKernels[N]>, packedBytes: PackedBytes) => Cost;
};

type Operand = { readonly byteLength: number } | null;

/** Bytes of the weights of all groups of a packed matrix. */
export function packedSizeBytes({ k, n, groups, format }: PackedMatrix, packedBytes: PackedBytes): number {
  return groups * k * n * packedBytes(format);
}

/** Of the products with a packed matrix: weights kept in fewer bits are multiplied in f32. */
function precisionOf({ format }: PackedMatrix): Precision {
  return format === 'bf16' ? 'bf16' : 'f32';
}

export const COSTS: CostTable = {
  pack: ([packed, source], element) => moves(source.byteLength + packedSizeBytes(packed, element)),
  gemmPacked: ([c, a, b, m, accumulate], element) =>
    product(
      2 * m * b.n * b.k,
      precisionOf(b),
      added(c, accumulate) + sizeOf(a) + packedSizeBytes(b, element),
    ),
  groupedGemmPacked: ([c, a, b, offsets, accumulate], element) => {
    const { rows, filled } = groupsOf(offsets);
    const weights = filled * b.k * b.n * element(b.format);
    const bytes = added(c, accumulate) + sizeOf(a, offsets) + weights;
    return product(2 * rows * b.n * b.k, precisionOf(b), bytes);
  },
  gemm: ([c, a, b, { m, n, k, accumulate, precision = 'f32' }]) =>
    product(2 * m * n * k, precision, added(c, accumulate) + sizeOf(a, b)),
  groupedGemmTransposed: ([c, a, b, offsets, n, k, precision, accumulate]) => {
    const { rows, filled, groups } = groupsOf(offsets);
    const gradients = accumulate ? (2 * c.byteLength * filled) / groups : c.byteLength;
    return product(2 * rows * n * k, precision, gradients + sizeOf(a, b, offsets));
  },

  layerNormForward: ([y, mean, rstd, x, weight]) => moves(sizeOf(y, mean, rstd, x, weight)),
  layerNormBackward: ([dx, dweight, dy, x, weight, mean, rstd, , , accumulate]) =>
    moves(added(dx, accumulate) + added(dweight, true) + sizeOf(dy, x, weight, mean, rstd)),
  rmsNormForward: ([y, rstd, x, weight]) => moves(sizeOf(y, rstd, x, weight)),
  rmsNormBackward: ([dx, dweight, dy, x, weight, rstd, , , accumulate]) =>
    moves(added(dx, accumulate) + added(dweight, true) + sizeOf(dy, x, weight, rstd)),
  columnNormForward: ([, rstd, x, weight, { rows, groups, dim }]) =>
    moves(sizeOf(rstd, weight) + 2 * rows * groups * dim * x.BYTES_PER_ELEMENT),
  columnNormBackward: ([, dweight, , x, weight, rstd, { rows, groups, dim }]) =>
    moves(added(dweight, true) + sizeOf(weight, rstd) + 3 * rows * groups * dim * x.BYTES_PER_ELEMENT),
  ropeClipForward: ([qkv, mask, positions, cos, , shape]) => rotation(qkv, mask, positions, cos, shape),
  ropeClipBackward: ([dqkv, mask, positions, cos, , shape]) => rotation(dqkv, mask, positions, cos, shape),
  attentionForward: ([out, lse, qkv, firstKey, shape, , precision]) =>
    product(4 * headFlops(shape, firstKey), precision, sizeOf(out, lse, qkv, firstKey)),
  // dV, dP, dQ and dK; the scores, computed a second time, are not counted.
  attentionBackward: ([dqkv, dout, qkv, out, lse, firstKey, shape, , precision]) =>
    product(8 * headFlops(shape, firstKey), precision, sizeOf(dqkv, dout, qkv, out, lse, firstKey)),
  attentionCached: ([out, , , qkv, slots, positions, { heads, kvHeads, headDim }]) => {
    const keys = new Map<number, number>();
    let pairs = 0;
    slots.forEach((slot, row) => {
      pairs += positions[row]! + 1;
      keys.set(slot, Math.max(keys.get(slot) ?? 0, positions[row]! + 1));
    });
    const cached = [...keys.values()].reduce((sum, length) => sum + length, 0);
    const cacheBytes = 2 * (cached + slots.length) * kvHeads * headDim * out.BYTES_PER_ELEMENT;
    return product(4 * pairs * heads * headDim, 'f32', sizeOf(out, qkv, slots, positions) + cacheBytes);
  },
  gluForward: ([h, gateUp]) => moves(sizeOf(h, gateUp)),
  gluBackward: ([dGateUp, dh, gateUp]) => moves(sizeOf(dGateUp, dh, gateUp)),
  embeddingForward: ([y, , ids]) => moves(2 * sizeOf(y) + sizeOf(ids)),
  embeddingBackward: ([dtable, ids, dy, , dim]) =>
    moves(2 * new Set(ids).size * dim * dtable.BYTES_PER_ELEMENT + sizeOf(ids, dy)),

  routerForward: ([probs, weights, experts, logits]) => moves(sizeOf(probs, weights, experts, logits)),
  routerBackward: ([dlogits, dweights, auxGrad, probs, experts]) =>
    moves(sizeOf(dlogits, dweights, auxGrad, probs, experts)),
  buildPermutation: ([slotOf, tokenOf, offsets, experts]) => moves(sizeOf(slotOf, tokenOf, offsets, experts)),
  gatherRows: ([out, x, tokenOf]) => moves(sizeOf(out, tokenOf) + Math.min(x.byteLength, out.byteLength)),
  gatherRowsBackward: ([dx, dout, slotOf, , , , accumulate]) =>
    moves(added(dx, accumulate) + sizeOf(dout, slotOf)),
  combineForward: ([y, ys, weights, slotOf, , , , accumulate]) =>
    moves(added(y, accumulate) + sizeOf(ys, weights, slotOf)),
  combineBackward: ([dys, dweights, dy, ys, weights, slotOf]) =>
    moves(sizeOf(dys, dweights, dy, ys, weights, slotOf)),

  softmaxCrossEntropy: ([losses, logits, targets, , , gradScale]) =>
    moves(sizeOf(losses, targets) + added(logits, gradScale !== 0)),
  softmaxForward: ([y, x]) => moves(sizeOf(y, x)),
  softmaxBackward: ([dx, dy, y, , , accumulate]) => moves(added(dx, accumulate) + sizeOf(dy, y)),
  adamw: ([param, m, v, grad]) => moves(2 * sizeOf(param, m, v) + sizeOf(grad)),

  unary: ([, y, x]) => moves(sizeOf(y, x)),
  // Of x and y one is read, which one depends on the op.
  unaryBackward: ([, dx, dy, x, , accumulate]) => moves(added(dx, accumulate) + sizeOf(dy, x)),
  binary: ([, y, a, b]) => moves(sizeOf(y, a, b)),
  binaryRow: ([, y, a, b]) => moves(sizeOf(y, a, b)),
  scale: ([y, x, , accumulate]) => moves(added(y, accumulate) + sizeOf(x)),
  fill: ([y]) => moves(sizeOf(y)),
  sum: ([x]) => moves(sizeOf(x)),
  sumOfSquares: ([x]) => moves(sizeOf(x)),
  columnSum: ([sums, x, , , accumulate]) => moves(added(sums, accumulate) + sizeOf(x)),

  quantizeBlocks: ([blocks, x]) => moves(sizeOf(blocks, x)),
  dequantizeBlocks: ([y, blocks]) => moves(sizeOf(y, blocks)),
};

function moves(bytes: number): Cost {
  return { flops: 0, precision: 'f32', bytes };
}

function product(flops: number, precision: Precision, bytes: number): Cost {
  return { flops, precision, bytes };
}

function sizeOf(...operands: readonly Operand[]): number {
  return operands.reduce((sum, operand) => sum + (operand?.byteLength ?? 0), 0);
}

/** Written, and read before where it is added to. */
function added(operand: Operand, accumulate: boolean | undefined): number {
  return (accumulate ? 2 : 1) * sizeOf(operand);
}

function groupsOf(offsets: Int32Array): { rows: number; filled: number; groups: number } {
  const groups = offsets.length - 1;
  let filled = 0;
  for (let g = 0; g < groups; g++) if (offsets[g + 1]! > offsets[g]!) filled++;
  return { rows: offsets[groups]! - offsets[0]!, filled, groups };
}

/** In place on the rows; of the two tables no more than one row for each position. */
function rotation(
  rows: FloatArray,
  mask: Operand,
  positions: Int32Array,
  cos: FloatArray,
  { headDim }: AttentionShape,
): Cost {
  const angles = Math.min(cos.byteLength, positions.length * (headDim / 2) * cos.BYTES_PER_ELEMENT);
  return moves(added(rows, true) + sizeOf(mask, positions) + 2 * angles);
}

/** H·P for every pair of a row and a key it attends. */
function headFlops({ heads, headDim }: AttentionShape, firstKey: Int32Array): number {
  let pairs = 0;
  for (let row = 0; row < firstKey.length; row++) pairs += row - firstKey[row]! + 1;
  return pairs * heads * headDim;
}
