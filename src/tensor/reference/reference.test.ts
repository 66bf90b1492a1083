import { describe, expect, it } from 'vitest';
import { roundToBf16 } from './bf16.ts';
import { createReferenceKernels } from './index.ts';
import { normalCdf } from './scalar-functions.ts';

const kernels = createReferenceKernels();
const f64 = (...values: number[]) => Float64Array.from(values);
const i32 = (...values: number[]) => Int32Array.from(values);

function expectClose(actual: ArrayLike<number>, expected: number[]): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) expect(actual[i]).toBeCloseTo(expected[i], 12);
}

describe('reference kernels, values by hand', () => {
  it('multiplies in all four forms', () => {
    // [1 2 3; 4 5 6] · [7 8; 9 10; 11 12] = [58 64; 139 154]
    const forms = { a: f64(1, 2, 3, 4, 5, 6), at: f64(1, 4, 2, 5, 3, 6) };
    const right = { b: f64(7, 8, 9, 10, 11, 12), bt: f64(7, 9, 11, 8, 10, 12) };
    for (const transA of [false, true]) {
      for (const transB of [false, true]) {
        const c = f64(1, 1, 1, 1);
        const options = { m: 2, n: 2, k: 3, transA, transB, accumulate: transA };
        kernels.gemm(c, transA ? forms.at : forms.a, transB ? right.bt : right.b, options);
        const offset = transA ? 1 : 0;
        expect([...c]).toEqual([58 + offset, 64 + offset, 139 + offset, 154 + offset]);
      }
    }
  });

  it('gives every group its own matrix and an empty group nothing', () => {
    const packed = kernels.createPacked(1, 2, 3, 'f32');
    kernels.pack(packed, f64(1, 2, 3, 4, 5, 6), false);
    const c = f64(0, 0, 0, 0, 0, 0);
    kernels.groupedGemmPacked(c, f64(10, 20, 30), packed, i32(0, 1, 1, 3));
    expect([...c]).toEqual([10, 20, 100, 120, 150, 180]);
    const dw = f64(9, 9, 9, 9, 9, 9);
    kernels.groupedGemmTransposed(dw, c, f64(1, 1, 1), i32(0, 1, 1, 3), 2, 1, 'f32');
    expect([...dw]).toEqual([10, 20, 0, 0, 250, 300]);
  });

  it('rounds bf16 operands to the nearest, ties to even', () => {
    expect(roundToBf16(1 + 2 ** -8)).toBe(1);
    expect(roundToBf16(1 + 3 * 2 ** -8)).toBe(1 + 2 ** -6);
    expect(roundToBf16(-1 - 2 ** -8 - 2 ** -20)).toBe(-1 - 2 ** -7);
    expect(roundToBf16(3.4e38)).toBe(Number.POSITIVE_INFINITY);
    expect(roundToBf16(Number.NaN)).toBeNaN();
    const c = new Float32Array(1);
    const a = Float32Array.of(1 + 2 ** -8);
    kernels.gemm(c, a, Float32Array.of(1), { m: 1, n: 1, k: 1, precision: 'bf16' });
    expect(c[0]).toBe(1);
  });

  it('normalizes rows', () => {
    const [y, mean, rstd] = [f64(0, 0), f64(0), f64(0)];
    kernels.layerNormForward(y, mean, rstd, f64(1, 3), f64(2, 5), 1, 2, 0);
    expectClose([...y, ...mean, ...rstd], [-2, 5, 2, 1]);
    kernels.rmsNormForward(y, rstd, f64(1, 7), f64(1, 2), 1, 2, 0);
    expectClose([...y, ...rstd], [0.2, 2.8, 0.2]);
  });

  it('rotates pairs half a head apart and masks what it clamps', () => {
    const qkv = f64(3, 4, 1, 9, -2, -1);
    const mask = new Uint8Array(6);
    const shape = { rows: 1, heads: 1, kvHeads: 1, headDim: 2 };
    kernels.ropeClipForward(qkv, mask, i32(1), f64(1, 0), f64(0, 1), shape, 4);
    expect([...qkv]).toEqual([-4, 3, -4, 1, -2, -1]);
    expect([...mask]).toEqual([1, 0, 1, 0, 1, 1]);
  });

  it('attends no row of another document', () => {
    const shape = { rows: 3, heads: 1, kvHeads: 1, headDim: 1 };
    const [out, lse] = [f64(0, 0, 0), f64(0, 0, 0)];
    const qkv = f64(0, 5, 10, 0, 6, 20, 0, 7, 40);
    kernels.attentionForward(out, lse, qkv, i32(0, 1, 1), shape, 1, 'f32');
    expectClose([...out, ...lse], [10, 20, 30, 0, 0, Math.log(2)]);
  });

  it('chooses experts in descending order, ties to the lower index', () => {
    const [probs, weights, experts] = [f64(0, 0, 0, 0), f64(0, 0), i32(0, 0)];
    const logits = f64(Math.log(1), Math.log(3), Math.log(1), Math.log(3));
    kernels.routerForward(probs, weights, experts, logits, 1, 4, 2, true);
    expectClose(probs, [0.125, 0.375, 0.125, 0.375]);
    expectClose(weights, [0.5, 0.5]);
    expect([...experts]).toEqual([1, 3]);
  });

  it('sorts slots by expert, stably', () => {
    const [slotOf, tokenOf, offsets] = [new Int32Array(6), new Int32Array(6), new Int32Array(4)];
    kernels.buildPermutation(slotOf, tokenOf, offsets, i32(2, 0, 0, 2, 2, 0), 3, 2, 3);
    expect([...offsets]).toEqual([0, 3, 3, 6]);
    expect([...slotOf]).toEqual([3, 0, 1, 4, 5, 2]);
    expect([...tokenOf]).toEqual([0, 1, 2, 0, 1, 2]);
  });

  it('measures cross-entropy in nats and ignores negative targets', () => {
    const losses = f64(9, 9);
    const logits = f64(0, Math.log(3), 5, 6);
    kernels.softmaxCrossEntropy(losses, logits, i32(0, -1), 2, 2, 2);
    expectClose(losses, [Math.log(4), 0]);
    expectClose(logits, [-1.5, 1.5, 0, 0]);
  });

  it('makes a first AdamW step of the learning rate, after decay', () => {
    const [param, m, v] = [f64(1), f64(0), f64(0)];
    const options = { learningRate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 0, weightDecay: 0.5, step: 1 };
    kernels.adamw(param, m, v, f64(4), { ...options, gradScale: 0.5 });
    expectClose([...param, ...m, ...v], [0.85, 0.2, 0.04]);
  });

  it('knows the normal distribution', () => {
    // Φ(1) and Φ(-5), Abramowitz and Stegun table 26.1
    expect(normalCdf(1)).toBeCloseTo(0.841344746068543, 14);
    expect(normalCdf(-5) / 2.866515718791939e-7).toBeCloseTo(1, 12);
  });

  it('refuses wrong lengths and indices', () => {
    expect(() => kernels.fill(f64(), 0)).not.toThrow();
    expect(() => kernels.binary('add', f64(1), f64(1), f64(1, 2))).toThrow('expected 1');
    expect(() => kernels.embeddingForward(f64(0), f64(1, 2), i32(2), 1, 1)).toThrow('expected 0..1');
    expect(() => kernels.setThreads(0)).toThrow('threads');
  });
});
