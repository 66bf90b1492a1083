/** Element-wise maps and the sums over elements and rows: the flexible small change beside the fused kernels. */
import type { BinaryOp, ElementwiseKernels, FloatArray, UnaryOp } from '../kernels.ts';
import { checkLength, checkSize } from './lengths.ts';
import { SCALAR_FUNCTIONS } from './scalar-functions.ts';

const BINARY_FUNCTIONS: Readonly<Record<BinaryOp, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
};

function unary(op: UnaryOp, y: FloatArray, x: FloatArray): void {
  checkLength('y', y, x.length);
  const { value } = SCALAR_FUNCTIONS[op];
  for (let i = 0; i < x.length; i++) y[i] = value(x[i]);
}

function unaryBackward(
  op: UnaryOp,
  dx: FloatArray,
  dy: FloatArray,
  x: FloatArray,
  y: FloatArray,
  accumulate = false,
): void {
  for (const array of [dx, dy, y]) checkLength('dx, dy or y', array, x.length);
  const { derivative } = SCALAR_FUNCTIONS[op];
  for (let i = 0; i < x.length; i++) {
    dx[i] = dy[i] * derivative(x[i], y[i]) + (accumulate ? dx[i] : 0);
  }
}

function binary(op: BinaryOp, y: FloatArray, a: FloatArray, b: FloatArray): void {
  checkLength('a', a, y.length);
  checkLength('b', b, y.length);
  const apply = BINARY_FUNCTIONS[op];
  for (let i = 0; i < y.length; i++) y[i] = apply(a[i], b[i]);
}

function binaryRow(
  op: BinaryOp,
  y: FloatArray,
  a: FloatArray,
  b: FloatArray,
  rows: number,
  dim: number,
): void {
  checkSize('rows', rows);
  checkLength('y', y, rows * dim);
  checkLength('a', a, rows * dim);
  checkLength('b', b, dim);
  const apply = BINARY_FUNCTIONS[op];
  for (let i = 0; i < y.length; i++) y[i] = apply(a[i], b[i % dim]);
}

function scale(y: FloatArray, x: FloatArray, alpha: number, accumulate = false): void {
  checkLength('y', y, x.length);
  for (let i = 0; i < x.length; i++) y[i] = alpha * x[i] + (accumulate ? y[i] : 0);
}

function fill(y: FloatArray, value: number): void {
  y.fill(value);
}

function sum(x: FloatArray): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i];
  return total;
}

function sumOfSquares(x: FloatArray): number {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += x[i] * x[i];
  return total;
}

function columnSum(sums: FloatArray, x: FloatArray, rows: number, dim: number, accumulate = false): void {
  checkSize('rows', rows);
  checkLength('sums', sums, dim);
  checkLength('x', x, rows * dim);
  for (let i = 0; i < dim; i++) {
    let total = accumulate ? sums[i] : 0;
    for (let r = 0; r < rows; r++) total += x[r * dim + i];
    sums[i] = total;
  }
}

export const elementwiseKernels: ElementwiseKernels = {
  unary,
  unaryBackward,
  binary,
  binaryRow,
  scale,
  fill,
  sum,
  sumOfSquares,
  columnSum,
};
