/** Elementwise kernels of the addon (native/kernels/elementwise.cc). */
import type { BinaryOp, ElementwiseKernels, FloatArray, UnaryOp } from '../kernels.ts';
import { methodsOf, type NativeMethods } from './addon.ts';

interface Methods {
  fill(y: FloatArray, value: number): void;
  scale(y: FloatArray, x: FloatArray, alpha: number, accumulate: boolean): void;
  unary(op: number, y: FloatArray, x: FloatArray): void;
  unaryBackward(
    op: number,
    dx: FloatArray,
    dy: FloatArray,
    x: FloatArray,
    y: FloatArray,
    accumulate: boolean,
  ): void;
  binary(op: number, y: FloatArray, a: FloatArray, b: FloatArray): void;
  binaryRow(op: number, y: FloatArray, a: FloatArray, b: FloatArray, rows: number, dim: number): void;
  sum(x: FloatArray): number;
  sumOfSquares(x: FloatArray): number;
  columnSum(sums: FloatArray, x: FloatArray, rows: number, dim: number, accumulate: boolean): void;
}

/** In the order of the addon's enums (native/kernels.h). */
const UNARY: readonly UnaryOp[] = [
  'neg',
  'exp',
  'log',
  'tanh',
  'sigmoid',
  'silu',
  'gelu',
  'gelu-tanh',
  'relu',
  'square',
  'sqrt',
];
const BINARY: readonly BinaryOp[] = ['add', 'sub', 'mul', 'div'];

export function elementwiseKernels(methods: NativeMethods): ElementwiseKernels {
  const native = methodsOf<Methods>(methods);
  return {
    fill: (y, value) => native.fill(y, value),
    scale: (y, x, alpha, accumulate = false) => native.scale(y, x, alpha, accumulate),
    unary: (op, y, x) => native.unary(UNARY.indexOf(op), y, x),
    unaryBackward: (op, dx, dy, x, y, accumulate = false) =>
      native.unaryBackward(UNARY.indexOf(op), dx, dy, x, y, accumulate),
    binary: (op, y, a, b) => native.binary(BINARY.indexOf(op), y, a, b),
    binaryRow: (op, y, a, b, rows, dim) => native.binaryRow(BINARY.indexOf(op), y, a, b, rows, dim),
    sum: (x) => native.sum(x),
    sumOfSquares: (x) => native.sumOfSquares(x),
    columnSum: (sums, x, rows, dim, accumulate = false) => native.columnSum(sums, x, rows, dim, accumulate),
  };
}
