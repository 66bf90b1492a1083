/**
 * Every backward kernel of the reference against central differences in float64: with step h the truncation error is of
 * order h² and the rounding error of order 2^-53 / h, so h = 1e-5 leaves about 1e-10 of values near 1; 1e-7 is allowed.
 */
import { describe, expect, it } from 'vitest';
import { Rng } from '../../base/index.ts';
import type { UnaryOp } from '../kernels.ts';
import { createReferenceKernels } from './index.ts';

const kernels = createReferenceKernels();
const STEP = 1e-5;
const TOLERANCE = 1e-7;

function normal(seed: number, length: number): Float64Array {
  const rng = new Rng(seed, 2);
  return Float64Array.from({ length }, () => rng.normal());
}

const zeros = (length: number) => new Float64Array(length);
const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** Compares `gradient` with the differences of `loss` as each value of `x` moves. */
function expectGradient(name: string, gradient: Float64Array, x: Float64Array, loss: () => number): void {
  expect(gradient.length, name).toBe(x.length);
  expect(
    gradient.some((value) => Math.abs(value) > 1e-3),
    `${name} is not all zeros`,
  ).toBe(true);
  for (let i = 0; i < x.length; i++) {
    const value = x[i];
    x[i] = value + STEP;
    const above = loss();
    x[i] = value - STEP;
    const below = loss();
    x[i] = value;
    const expected = (above - below) / (2 * STEP);
    const allowed = TOLERANCE * Math.max(1, Math.abs(expected));
    expect(
      Math.abs(gradient[i] - expected),
      `${name}[${i}] is ${gradient[i]}, differences give ${expected}`,
    ).toBeLessThan(allowed);
  }
}

describe('gradients of the reference kernels', () => {
  const [rows, dim] = [5, 7];
  const dy = normal(1, rows * dim);

  it('layer norm', () => {
    const [x, weight] = [normal(2, rows * dim), normal(3, dim)];
    const [y, mean, rstd] = [zeros(rows * dim), zeros(rows), zeros(rows)];
    const loss = () => {
      kernels.layerNormForward(y, mean, rstd, x, weight, rows, dim, 1e-5);
      return dot(y, dy);
    };
    loss();
    const [dx, dweight] = [zeros(rows * dim), zeros(dim)];
    kernels.layerNormBackward(dx, dweight, dy, x, weight, mean, rstd, rows, dim);
    expectGradient('dx', dx, x, loss);
    expectGradient('dweight', dweight, weight, loss);
  });

  it('RMS norm', () => {
    const [x, weight] = [normal(2, rows * dim), normal(3, dim)];
    const [y, rstd] = [zeros(rows * dim), zeros(rows)];
    const loss = () => {
      kernels.rmsNormForward(y, rstd, x, weight, rows, dim, 1e-5);
      return dot(y, dy);
    };
    loss();
    const [dx, dweight] = [zeros(rows * dim), zeros(dim)];
    kernels.rmsNormBackward(dx, dweight, dy, x, weight, rstd, rows, dim);
    expectGradient('dx', dx, x, loss);
    expectGradient('dweight', dweight, weight, loss);
  });

  it('rope with clamping', () => {
    const shape = { rows: 3, heads: 2, kvHeads: 1, headDim: 4 };
    const qkv = normal(4, 3 * 16);
    const weights = normal(5, qkv.length);
    const angles = normal(6, 4 * 2);
    const [cos, sin] = [angles.map(Math.cos), angles.map(Math.sin)];
    const positions = Int32Array.of(3, 0, 2);
    const mask = new Uint8Array(qkv.length);
    const loss = () => {
      const rotated = qkv.slice();
      kernels.ropeClipForward(rotated, mask, positions, cos, sin, shape, 1);
      return dot(rotated, weights);
    };
    loss();
    expect(mask.includes(0)).toBe(true);
    const gradient = weights.slice();
    kernels.ropeClipBackward(gradient, mask.slice(), positions, cos, sin, shape);
    expectGradient('dqkv', gradient, qkv, loss);
  });

  it('attention over documents, with grouped queries', () => {
    const shape = { rows: 6, heads: 4, kvHeads: 2, headDim: 3 };
    const qkv = normal(7, 6 * 24);
    const dout = normal(8, 6 * 12);
    const firstKey = Int32Array.of(0, 0, 0, 1, 4, 4);
    const [out, lse] = [zeros(6 * 12), zeros(6 * 4)];
    const loss = () => {
      kernels.attentionForward(out, lse, qkv, firstKey, shape, 0.6, 'f32');
      return dot(out, dout);
    };
    loss();
    const dqkv = zeros(qkv.length);
    kernels.attentionBackward(dqkv, dout, qkv, out, lse, firstKey, shape, 0.6, 'f32');
    expectGradient('dqkv', dqkv, qkv, loss);
  });

  it.each(['silu', 'gelu'] as const)('GLU with %s', (activation) => {
    const gateUp = normal(9, rows * 2 * dim);
    const loss = () => {
      const h = zeros(rows * dim);
      kernels.gluForward(h, gateUp, rows, dim, activation);
      return dot(h, dy);
    };
    const gradient = zeros(gateUp.length);
    kernels.gluBackward(gradient, dy, gateUp, rows, dim, activation);
    expectGradient('dGateUp', gradient, gateUp, loss);
  });

  it('embedding, with a repeated id', () => {
    const table = normal(10, 4 * dim);
    const ids = Int32Array.of(1, 3, 1, 0, 1);
    const loss = () => {
      const y = zeros(rows * dim);
      kernels.embeddingForward(y, table, ids, rows, dim);
      return dot(y, dy);
    };
    const gradient = zeros(table.length);
    kernels.embeddingBackward(gradient, ids, dy, rows, dim);
    expectGradient('dtable', gradient, table, loss);
  });

  it.each([true, false])('router, normalize %s, with an auxiliary loss', (normalize) => {
    const [numExperts, topK] = [6, 3];
    const logits = normal(11, rows * numExperts);
    const [dweights, auxGrad] = [normal(12, rows * topK), normal(13, numExperts)];
    const [probs, weights] = [zeros(rows * numExperts), zeros(rows * topK)];
    const experts = new Int32Array(rows * topK);
    const loss = () => {
      kernels.routerForward(probs, weights, experts, logits, rows, numExperts, topK, normalize);
      return dot(weights, dweights) + probs.reduce((sum, p, i) => sum + p * auxGrad[i % numExperts], 0);
    };
    loss();
    const gradient = zeros(logits.length);
    kernels.routerBackward(gradient, dweights, auxGrad, probs, experts, rows, numExperts, topK, normalize);
    expectGradient('dlogits', gradient, logits, loss);
  });

  it('gather and combine', () => {
    const [topK, numExperts] = [2, 3];
    const slots = rows * topK;
    const experts = Int32Array.of(0, 2, 2, 1, 0, 1, 2, 0, 1, 2);
    const [slotOf, tokenOf] = [new Int32Array(slots), new Int32Array(slots)];
    const offsets = new Int32Array(numExperts + 1);
    kernels.buildPermutation(slotOf, tokenOf, offsets, experts, rows, topK, numExperts);
    const [x, dout] = [normal(14, rows * dim), normal(15, slots * dim)];
    const dx = zeros(x.length);
    kernels.gatherRowsBackward(dx, dout, slotOf, rows, topK, dim);
    expectGradient('dx', dx, x, () => {
      const out = zeros(slots * dim);
      kernels.gatherRows(out, x, tokenOf, slots, dim);
      return dot(out, dout);
    });
    const [ys, weights] = [normal(16, slots * dim), normal(17, slots)];
    const loss = () => {
      const y = zeros(rows * dim);
      kernels.combineForward(y, ys, weights, slotOf, rows, topK, dim);
      return dot(y, dy);
    };
    const [dys, dweights] = [zeros(ys.length), zeros(slots)];
    kernels.combineBackward(dys, dweights, dy, ys, weights, slotOf, rows, topK, dim);
    expectGradient('dys', dys, ys, loss);
    expectGradient('dweights', dweights, weights, loss);
  });

  it('grouped products', () => {
    const [n, k, offsets] = [3, 4, Int32Array.of(0, 2, 2, 5)];
    const [a, weights, dc] = [normal(18, 5 * k), normal(19, 3 * n * k), normal(20, 5 * n)];
    // c = a · wᵀ per group, w [groups, n, k]
    const loss = () => {
      const packed = kernels.createPacked(k, n, 3, 'f32');
      kernels.pack(packed, weights, true);
      const c = zeros(5 * n);
      kernels.groupedGemmPacked(c, a, packed, offsets);
      return dot(c, dc);
    };
    const [da, dweights] = [zeros(a.length), zeros(weights.length)];
    const back = kernels.createPacked(n, k, 3, 'f32');
    kernels.pack(back, weights, false);
    kernels.groupedGemmPacked(da, dc, back, offsets);
    kernels.groupedGemmTransposed(dweights, dc, a, offsets, n, k, 'f32');
    expectGradient('da', da, a, loss);
    expectGradient('dweights', dweights, weights, loss);
  });

  it('cross-entropy, with an ignored row, and softmax', () => {
    const logits = normal(21, rows * dim);
    const targets = Int32Array.of(3, -1, 0, 6, 3);
    const losses = zeros(rows);
    const gradient = logits.slice();
    kernels.softmaxCrossEntropy(losses, gradient, targets, rows, dim, 0.5);
    expectGradient('dlogits', gradient, logits, () => {
      kernels.softmaxCrossEntropy(losses, logits, targets, rows, dim, 0);
      return 0.5 * losses.reduce((a, b) => a + b, 0);
    });
    const y = zeros(rows * dim);
    const loss = () => {
      kernels.softmaxForward(y, logits, rows, dim);
      return dot(y, dy);
    };
    loss();
    const dx = zeros(rows * dim);
    kernels.softmaxBackward(dx, dy, y, rows, dim);
    expectGradient('dx', dx, logits, loss);
  });

  const ops: UnaryOp[] = ['neg', 'exp', 'log', 'tanh', 'sigmoid', 'silu', 'gelu', 'relu', 'square', 'sqrt'];
  it.each(ops)('%s', (op) => {
    const positive = op === 'log' || op === 'sqrt';
    const x = normal(22, rows * dim).map((value) => (positive ? Math.abs(value) + 0.5 : value));
    const y = zeros(x.length);
    const loss = () => {
      kernels.unary(op, y, x);
      return dot(y, dy);
    };
    loss();
    const dx = zeros(x.length);
    kernels.unaryBackward(op, dx, dy, x, y);
    expectGradient('dx', dx, x, loss);
  });
});
