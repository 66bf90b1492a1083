/**
 * Matrix products by the definition: c[i, j] = sum over k of a[i, k] · b[k, j], the sum in double precision and in the
 * order of k, one rounding at the end. bf16 rounds both operands first; Float64Array operands are never rounded.
 * Source: the GEMM of the BLAS (Dongarra et al. 1990); grouped over uneven row ranges as in MegaBlocks (Gale et al. 2022).
 */
import { assert } from '../../base/index.ts';
import {
  type FloatArray,
  type GemmOptions,
  INT8_BLOCK,
  type MatrixKernels,
  type PackedFormat,
  type PackedMatrix,
  type Precision,
} from '../kernels.ts';
import { asOperand } from './bf16.ts';
import { checkLength, checkOffsets, checkSize } from './lengths.ts';

/** "Packing" here is only a copy as [groups, k, n] with the weights rounded. */
class ReferencePacked implements PackedMatrix {
  readonly k: number;
  readonly n: number;
  readonly groups: number;
  readonly format: PackedFormat;
  readonly values: Float64Array;

  constructor(k: number, n: number, groups: number, format: PackedFormat) {
    checkSize('k', k);
    checkSize('n', n);
    checkSize('groups', groups);
    this.k = k;
    this.n = n;
    this.groups = groups;
    this.format = format;
    this.values = new Float64Array(groups * k * n);
  }
}

function createPacked(k: number, n: number, groups: number, format: PackedFormat): PackedMatrix {
  return new ReferencePacked(k, n, groups, format);
}

function pack(packed: PackedMatrix, source: FloatArray, transposed: boolean): void {
  const { k, n, groups, format, values } = ownPacked(packed);
  checkLength('source', source, groups * k * n);
  const operand = asOperand(source, format === 'bf16' || format === 'bf16-weights' ? 'bf16' : 'f32');
  for (let g = 0; g < groups; g++) {
    const base = g * k * n;
    for (let i = 0; i < k; i++) {
      for (let j = 0; j < n; j++) {
        values[base + i * n + j] = operand[base + (transposed ? j * k + i : i * n + j)];
      }
    }
    if (format === 'int8-weights') roundToInt8(values.subarray(base, base + k * n), k, n);
  }
}

/** Of numbers below it 127 / x has no float; they become 0. */
const SMALLEST_INT8 = 127 / (2 ** 128 - 2 ** 104);

/** In place, B [k, n]: every column of every {@link INT8_BLOCK} rows by its own scale, computed in f32. */
function roundToInt8(values: Float64Array, k: number, n: number): void {
  for (let first = 0; first < k; first += INT8_BLOCK) {
    const last = Math.min(k, first + INT8_BLOCK);
    for (let j = 0; j < n; j++) {
      let top = 0;
      for (let i = first; i < last; i++) top = Math.max(top, Math.abs(values[i * n + j]));
      const inverse = top > SMALLEST_INT8 ? Math.fround(127 / top) : 0;
      const scale = Math.fround(top / 127);
      for (let i = first; i < last; i++) {
        values[i * n + j] = scale * roundToEven(Math.fround(values[i * n + j] * inverse));
      }
    }
  }
}

function roundToEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 === 0 ? down : down + 1;
}

function gemmPacked(c: FloatArray, a: FloatArray, b: PackedMatrix, m: number, accumulate = false): void {
  checkSize('m', m);
  assert(b.groups === 1, `gemmPacked takes a matrix of one group, found ${b.groups}`);
  groupedGemmPacked(c, a, b, Int32Array.of(0, m), accumulate);
}

function groupedGemmPacked(
  c: FloatArray,
  a: FloatArray,
  b: PackedMatrix,
  offsets: Int32Array,
  accumulate = false,
): void {
  const { k, n, groups, values } = ownPacked(b);
  const rows = checkOffsets(offsets, groups);
  checkLength('c', c, rows * n);
  checkLength('a', a, rows * k);
  const left = asOperand(a, b.format === 'bf16' ? 'bf16' : 'f32');
  const sums = new Float64Array(n);
  for (let g = 0; g < groups; g++) {
    for (let i = offsets[g]; i < offsets[g + 1]; i++) {
      sums.fill(0);
      for (let p = 0; p < k; p++) {
        const value = left[i * k + p];
        const row = (g * k + p) * n;
        for (let j = 0; j < n; j++) sums[j] += value * values[row + j];
      }
      for (let j = 0; j < n; j++) c[i * n + j] = sums[j] + (accumulate ? c[i * n + j] : 0);
    }
  }
}

function gemm(c: FloatArray, a: FloatArray, b: FloatArray, options: GemmOptions): void {
  const { m, n, k, transA = false, transB = false, accumulate = false, precision = 'f32' } = options;
  for (const size of [m, n, k]) checkSize('m, n or k', size);
  checkLength('c', c, m * n);
  checkLength('a', a, m * k);
  checkLength('b', b, k * n);
  const left = asOperand(a, precision);
  const right = asOperand(b, precision);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let p = 0; p < k; p++) {
        sum += left[transA ? p * m + i : i * k + p] * right[transB ? j * k + p : p * n + j];
      }
      c[i * n + j] = sum + (accumulate ? c[i * n + j] : 0);
    }
  }
}

function groupedGemmTransposed(
  c: FloatArray,
  a: FloatArray,
  b: FloatArray,
  offsets: Int32Array,
  n: number,
  k: number,
  precision: Precision,
  accumulate = false,
): void {
  checkSize('n', n);
  checkSize('k', k);
  const groups = offsets.length - 1;
  const rows = checkOffsets(offsets, groups);
  checkLength('c', c, groups * n * k);
  checkLength('a', a, rows * n);
  checkLength('b', b, rows * k);
  for (let g = 0; g < groups; g++) {
    const [start, end] = [offsets[g], offsets[g + 1]];
    gemm(
      c.subarray(g * n * k, (g + 1) * n * k),
      a.subarray(start * n, end * n),
      b.subarray(start * k, end * k),
      { m: n, n: k, k: end - start, transA: true, accumulate, precision },
    );
  }
}

function ownPacked(packed: PackedMatrix): ReferencePacked {
  assert(packed instanceof ReferencePacked, 'the packed matrix comes from other kernels');
  return packed;
}

export const matrixKernels: MatrixKernels = {
  createPacked,
  pack,
  gemmPacked,
  groupedGemmPacked,
  gemm,
  groupedGemmTransposed,
};
