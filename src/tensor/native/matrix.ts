/** Products of the addon (native/kernels/matrix.cc). Packed matrices belong to the instruction set that packed them. */
import type { FloatArray, MatrixKernels, PackedMatrix, Precision } from '../kernels.ts';
import { allocateMemory, methodsOf, type NativeMethods } from './addon.ts';

interface NativePacked extends PackedMatrix {
  readonly data: Float32Array;
}

type PackedArguments = [data: Float32Array, k: number, n: number, groups: number, bf16: boolean];

interface Methods {
  packedBytes(k: number, n: number, groups: number, bf16: boolean): number;
  pack(...args: [...PackedArguments, source: FloatArray, transposed: boolean]): void;
  gemmPacked(
    c: FloatArray,
    a: FloatArray,
    ...rest: [...PackedArguments, m: number, accumulate: boolean]
  ): void;
  groupedGemmPacked(
    c: FloatArray,
    a: FloatArray,
    ...rest: [...PackedArguments, offsets: Int32Array, accumulate: boolean]
  ): void;
  groupedGemmTransposed(
    c: FloatArray,
    a: FloatArray,
    b: FloatArray,
    ...rest: [offsets: Int32Array, groups: number, n: number, k: number, bf16: boolean, accumulate: boolean]
  ): void;
  gemm(
    c: FloatArray,
    a: FloatArray,
    b: FloatArray,
    ...rest: [
      m: number,
      n: number,
      k: number,
      transA: boolean,
      transB: boolean,
      accumulate: boolean,
      bf16: boolean,
    ]
  ): void;
}

export function matrixKernels(methods: NativeMethods): MatrixKernels {
  const native = methodsOf<Methods>(methods);
  return {
    createPacked(k: number, n: number, groups: number, precision: Precision): NativePacked {
      const sizeBytes = native.packedBytes(k, n, groups, precision === 'bf16');
      return { k, n, groups, precision, data: new Float32Array(allocateMemory(methods, sizeBytes)) };
    },
    pack: (packed, source, transposed) => native.pack(...argumentsOf(packed), source, transposed),
    gemmPacked: (c, a, b, m, accumulate = false) => native.gemmPacked(c, a, ...argumentsOf(b), m, accumulate),
    groupedGemmPacked: (c, a, b, offsets, accumulate = false) =>
      native.groupedGemmPacked(c, a, ...argumentsOf(b), offsets, accumulate),
    groupedGemmTransposed: (c, a, b, offsets, n, k, precision, accumulate = false) =>
      native.groupedGemmTransposed(
        c,
        a,
        b,
        offsets,
        offsets.length - 1,
        n,
        k,
        precision === 'bf16',
        accumulate,
      ),
    gemm: (c, a, b, options) =>
      native.gemm(
        c,
        a,
        b,
        options.m,
        options.n,
        options.k,
        options.transA ?? false,
        options.transB ?? false,
        options.accumulate ?? false,
        options.precision === 'bf16',
      ),
  };
}

function argumentsOf(packed: PackedMatrix): PackedArguments {
  const { data, k, n, groups, precision } = packed as NativePacked;
  return [data, k, n, groups, precision === 'bf16'];
}
