/** Small differentiable ops for flexibility; the big fused ones carry the speed. */
import { assert } from '../../base/index.ts';
import type { Precision, UnaryOp } from '../kernels.ts';
import type { Tape } from '../tape.ts';
import { asMatrix, type Tensor } from '../tensor.ts';

/** a + b, equal shapes, or b [D] added to every row of a [.., D]. */
export function add(tape: Tape, a: Tensor, b: Tensor): Tensor {
  const { kernels } = tape;
  const y = tape.output(a.shape, a, b);
  const { rows, dim } = asMatrix(a);
  const everyRow = b.size !== a.size;
  assert(!everyRow || b.size === dim, `add: [${b.shape}] to [${a.shape}]`);
  if (everyRow) kernels.binaryRow('add', y.data, a.data, b.data, rows, dim);
  else kernels.binary('add', y.data, a.data, b.data);
  tape.record(y, (dy) => {
    const da = tape.gradOf(a);
    if (da) kernels.scale(da.grad, dy, 1, da.accumulate);
    const db = tape.gradOf(b);
    if (!db) return;
    if (everyRow) kernels.columnSum(db.grad, dy, rows, dim, db.accumulate);
    else kernels.scale(db.grad, dy, 1, db.accumulate);
  });
  return y;
}

/** x + b, b [D] added to every row of x [.., D]. Consumes x: the sum takes its memory. */
export function addBias(tape: Tape, x: Tensor, b: Tensor): Tensor {
  const { rows, dim } = asMatrix(x);
  assert(b.size === dim, `addBias: [${b.shape}] to [${x.shape}]`);
  const { kernels } = tape;
  kernels.binaryRow('add', x.data, x.data, b.data, rows, dim);
  const y = tape.wrap(x.data, x.shape, x, b);
  tape.record(y, (dy) => {
    const db = tape.gradOf(b);
    if (db) kernels.columnSum(db.grad, dy, rows, dim, db.accumulate);
    tape.passGrad(x, dy);
  });
  return y;
}

/** factor · x. */
export function scaled(tape: Tape, x: Tensor, factor: number): Tensor {
  const y = tape.output(x.shape, x);
  tape.kernels.scale(y.data, x.data, factor);
  tape.record(y, (dy) => {
    const dx = tape.gradOf(x);
    if (dx) tape.kernels.scale(dx.grad, dy, factor, dx.accumulate);
  });
  return y;
}

/**
 * x + delta on the residual stream. Both gradients are the output's own memory, without a copy; so nothing but the op
 * that made `delta` may read delta's gradient, and delta must not be used elsewhere.
 */
export function residualAdd(tape: Tape, x: Tensor, delta: Tensor): Tensor {
  const y = tape.output(x.shape, x, delta);
  tape.kernels.binary('add', y.data, x.data, delta.data);
  tape.record(y, (dy) => {
    tape.passGrad(delta, dy);
    tape.passGrad(x, dy);
  });
  return y;
}

/** a * b, equal shapes. */
export function mul(tape: Tape, a: Tensor, b: Tensor): Tensor {
  assert(a.size === b.size, `mul: [${a.shape}] by [${b.shape}]`);
  const { kernels, arena } = tape;
  const y = tape.output(a.shape, a, b);
  kernels.binary('mul', y.data, a.data, b.data);
  tape.record(y, (dy) => {
    const product = arena.floats(y.size);
    for (const [input, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const target = tape.gradOf(input);
      if (!target) continue;
      kernels.binary('mul', product, dy, other.data);
      kernels.scale(target.grad, product, 1, target.accumulate);
    }
  });
  return y;
}

/** op(x), element by element. */
export function unary(tape: Tape, op: UnaryOp, x: Tensor): Tensor {
  const y = tape.output(x.shape, x);
  tape.kernels.unary(op, y.data, x.data);
  tape.record(y, (dy) => {
    const dx = tape.gradOf(x);
    if (dx) tape.kernels.unaryBackward(op, dx.grad, dy, x.data, y.data, dx.accumulate);
  });
  return y;
}

/** Softmax over the last dim. */
export function softmax(tape: Tape, x: Tensor): Tensor {
  const { rows, dim } = asMatrix(x);
  const y = tape.output(x.shape, x);
  tape.kernels.softmaxForward(y.data, x.data, rows, dim);
  tape.record(y, (dy) => {
    const dx = tape.gradOf(x);
    if (dx) tape.kernels.softmaxBackward(dx.grad, dy, y.data, rows, dim, dx.accumulate);
  });
  return y;
}

/** Scalar mean of all elements. */
export function mean(tape: Tape, x: Tensor): Tensor {
  const y = tape.output([1], x);
  y.data[0] = tape.kernels.sum(x.data) / x.size;
  tape.record(y, (dy) => {
    const dx = tape.gradOf(x);
    if (!dx) return;
    const share = tape.arena.floats(x.size);
    tape.kernels.fill(share, dy[0]! / x.size);
    tape.kernels.scale(dx.grad, share, 1, dx.accumulate);
  });
  return y;
}

/** a[M, K] · b[K, N], or · b[N, K]ᵀ when `transB`. */
export function matmul(
  tape: Tape,
  a: Tensor,
  b: Tensor,
  options: { transB?: boolean; precision?: Precision } = {},
): Tensor {
  const { transB = false, precision = 'f32' } = options;
  const { kernels } = tape;
  const [m, k] = a.shape as [number, number];
  const n = b.shape[transB ? 0 : 1]!;
  assert(b.shape[transB ? 1 : 0] === k, `matmul: [${a.shape}] by [${b.shape}]${transB ? ' transposed' : ''}`);
  const y = tape.output([m, n], a, b);
  kernels.gemm(y.data, a.data, b.data, { m, n, k, transB, precision });
  tape.record(y, (dy) => {
    const da = tape.gradOf(a);
    if (da) {
      const sizes = { m, n: k, k: n, transB: !transB, accumulate: da.accumulate, precision };
      kernels.gemm(da.grad, dy, b.data, sizes);
    }
    const db = tape.gradOf(b);
    if (!db) return;
    const options = { k: m, transA: true, accumulate: db.accumulate, precision };
    if (transB) kernels.gemm(db.grad, dy, a.data, { m: n, n: k, ...options });
    else kernels.gemm(db.grad, a.data, dy, { m: k, n, ...options });
  });
  return y;
}
