/** Products and attention of every instruction set against loops in double precision. */
import { describe, expect, it } from 'vitest';
import type { AttentionShape, Precision } from '../kernels.ts';
import { loadNative, nativeInstructionSets } from '../native.ts';

/** Deterministic values in [-0.5, 0.5). */
function values(length: number, seed: number): Float32Array {
  let state = seed * 2654435761 + 1;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
}

/** Nearest even, as bf16 hardware rounds. */
function rounded(x: Float32Array, precision: Precision): Float32Array {
  if (precision === 'f32') return x;
  const bits = new Uint32Array(x.slice().buffer);
  for (let i = 0; i < bits.length; i++) {
    bits[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) & 0xffff0000;
  }
  return new Float32Array(bits.buffer);
}

type At = (row: number, column: number) => number;
function product(m: number, n: number, k: number, a: At, b: At): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      for (let x = 0; x < k; x++) c[i * n + j] += a(i, x) * b(x, j);
    }
  }
  return c;
}

/** Largest difference; NaN counts as infinite. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(largest, difference);
  }
  return largest;
}

/** f32 sums of k products of at most 1/4: their rounding errors together stay below k/4 * k * 2^-24. */
const bound = (k: number) => (k * k * 2 ** -24) / 4 + 1e-6;

const shapes = [
  [1, 1, 1],
  [3, 65, 7],
  [14, 32, 300],
  [29, 33, 601],
  [130, 16, 64],
  [5, 40, 0],
  [0, 8, 8],
];
const precisions: Precision[] = ['f32', 'bf16'];

describe.skipIf(nativeInstructionSets().length === 0).each(nativeInstructionSets())('%s', (isa) => {
  const kernels = () => loadNative({ isa, threads: 2 })!;

  it.each(precisions)('multiplies with packed matrices, %s', (precision) => {
    for (const [m, n, k] of shapes) {
      const a = values(m * k, 1);
      const b = values(k * n, 2);
      const [ra, rb] = [rounded(a, precision), rounded(b, precision)];
      const want = product(
        m,
        n,
        k,
        (i, x) => ra[i * k + x],
        (x, j) => rb[x * n + j],
      );
      const packed = kernels().createPacked(k, n, 1, precision);
      kernels().pack(packed, b, false);
      const c = new Float32Array(m * n).fill(Number.NaN);
      kernels().gemmPacked(c, a, packed, m);
      expect(distance(c, want)).toBeLessThan(bound(k));
      kernels().gemmPacked(c, a, packed, m, true);
      expect(
        distance(
          c,
          want.map((x) => 2 * x),
        ),
      ).toBeLessThan(2 * bound(k));
      for (let i = 0; i < m; i += 7) {
        const row = new Float32Array(n);
        kernels().gemmPacked(row, a.subarray(i * k, (i + 1) * k), packed, 1);
        kernels().gemmPacked(c, a, packed, m);
        expect(row).toEqual(c.slice(i * n, (i + 1) * n));
      }
    }
  });

  it.each(precisions)('multiplies with all transposes, %s', (precision) => {
    for (const [m, n, k] of shapes) {
      const a = values(m * k, 3);
      const b = values(k * n, 4);
      const [ra, rb] = [rounded(a, precision), rounded(b, precision)];
      for (const transA of [false, true]) {
        for (const transB of [false, true]) {
          const want = product(
            m,
            n,
            k,
            (i, x) => (transA ? ra[x * m + i] : ra[i * k + x]),
            (x, j) => (transB ? rb[j * k + x] : rb[x * n + j]),
          );
          const c = new Float32Array(m * n).fill(Number.NaN);
          kernels().gemm(c, a, b, { m, n, k, transA, transB, precision });
          expect(distance(c, want)).toBeLessThan(bound(k));
          kernels().gemm(c, a, b, { m, n, k, transA, transB, precision, accumulate: true });
          expect(
            distance(
              c,
              want.map((x) => 2 * x),
            ),
          ).toBeLessThan(2 * bound(k));
        }
      }
    }
  });

  it.each(precisions)('multiplies groups of uneven size, some empty, %s', (precision) => {
    const [k, n] = [37, 70];
    const offsets = Int32Array.of(0, 5, 5, 140, 141, 141);
    const rows = offsets.at(-1)!;
    const groups = offsets.length - 1;
    const a = values(rows * k, 5);
    const b = values(groups * n * k, 6);
    const d = values(rows * n, 7);
    const [ra, rb, rd] = [a, b, d].map((x) => rounded(x, precision));
    const packed = kernels().createPacked(k, n, groups, precision);
    kernels().pack(packed, b, true);
    const c = new Float32Array(rows * n);
    kernels().groupedGemmPacked(c, a, packed, offsets);
    const dw = new Float32Array(groups * n * k).fill(Number.NaN);
    kernels().groupedGemmTransposed(dw, d, a, offsets, n, k, precision);
    for (let g = 0; g < groups; g++) {
      const [from, to] = [offsets[g], offsets[g + 1]];
      const wantC = product(
        to - from,
        n,
        k,
        (i, x) => ra[(from + i) * k + x],
        (x, j) => rb[(g * n + j) * k + x],
      );
      expect(distance(c.subarray(from * n, to * n), wantC)).toBeLessThan(bound(k));
      const wantDw = product(
        n,
        k,
        to - from,
        (i, x) => rd[(from + x) * n + i],
        (x, j) => ra[(from + x) * k + j],
      );
      expect(distance(dw.subarray(g * n * k, (g + 1) * n * k), wantDw)).toBeLessThan(bound(to - from));
    }
  });

  it('measures a peak', () => {
    // An emulated processor reaches a few hundred million.
    expect(kernels().measurePeakFlops('f32', 5)).toBeGreaterThan(1e7);
  });

  it.each([
    { rows: 1, heads: 1, kvHeads: 1, headDim: 8 },
    { rows: 150, heads: 4, kvHeads: 2, headDim: 40 },
    { rows: 300, heads: 2, kvHeads: 1, headDim: 64 },
  ])('attends within documents, forward, backward and cached: $rows rows of $headDim', (shape) => {
    const { rows, heads, kvHeads, headDim } = shape;
    const columns = (heads + 2 * kvHeads) * headDim;
    const qkv = values(rows * columns, 8).map((x) => 4 * x);
    const dout = values(rows * heads * headDim, 9);
    const starts = [0, 3, 140].filter((start) => start < rows);
    const firstKey = Int32Array.from({ length: rows }, (_, r) => starts.findLast((start) => start <= r)!);
    const scale = 1 / Math.sqrt(headDim);
    const want = attention(qkv, dout, firstKey, shape, scale);
    for (const precision of precisions) checkAttention(isa, precision, qkv, dout, firstKey, shape, scale);
    const cacheLength = rows + 2;
    const keyCache = new Float32Array(4 * cacheLength * kvHeads * headDim);
    const valueCache = new Float32Array(keyCache.length);
    const slots = firstKey.map((start) => starts.indexOf(start) + 1);
    const positions = firstKey.map((start, r) => r - start);
    const out = new Float32Array(rows * heads * headDim);
    loadNative({ isa })!.attentionCached(
      out,
      keyCache,
      valueCache,
      qkv,
      slots,
      positions,
      shape,
      cacheLength,
      scale,
    );
    expect(distance(out, want.out)).toBeLessThan(1e-5);
  });

  it('attends within windows, and within many short documents', () => {
    const shape = { rows: 170, heads: 2, kvHeads: 1, headDim: 32 };
    const qkv = values(shape.rows * 4 * shape.headDim, 10).map((x) => 4 * x);
    const dout = values(shape.rows * 2 * shape.headDim, 11);
    const windows = Int32Array.from({ length: shape.rows }, (_, r) => Math.max(0, r - 37));
    const short = Int32Array.from({ length: shape.rows }, (_, r) => r - (r % 17));
    for (const firstKey of [windows, short]) {
      for (const precision of precisions) checkAttention(isa, precision, qkv, dout, firstKey, shape, 0.2);
    }
  });
});

/**
 * Forward and backward pass on 1 and 2 threads against their definition on rounded operands. f32: 1e-5 and, for gradients
 * that sum over up to 300 rows, 2e-5. bf16 hardware: probabilities and score gradients are rounded too (2^-9 each, and
 * delta carries the rounding of the output), so a sum errs by 2^-8 of its absolute terms.
 */
function checkAttention(
  isa: string,
  precision: Precision,
  qkv: Float32Array,
  dout: Float32Array,
  firstKey: Int32Array,
  shape: AttentionShape,
  scale: number,
) {
  const want = attention(rounded(qkv, precision), rounded(dout, precision), firstKey, shape, scale);
  const loss = precision === 'bf16' && loadNative({ isa })!.hasFastBf16 ? 2 ** -8 : 0;
  const results = [1, 2].map((threads) => {
    const engine = loadNative({ isa, threads })!;
    const out = new Float32Array(shape.rows * shape.heads * shape.headDim);
    const lse = new Float32Array(shape.heads * shape.rows);
    engine.attentionForward(out, lse, qkv, firstKey, shape, scale, precision);
    const dqkv = new Float32Array(qkv.length).fill(Number.NaN);
    engine.attentionBackward(dqkv, dout, qkv, out, lse, firstKey, shape, scale, precision);
    expect(distance(lse, want.lse)).toBeLessThan(1e-5);
    expect(excess(out, want.out, want.outTerms, loss)).toBeLessThan(1e-5);
    expect(excess(dqkv, want.dqkv, want.dqkvTerms, loss)).toBeLessThan(2e-5);
    return { out, lse, dqkv };
  });
  expect(results[1]).toEqual(results[0]);
}

/** Largest difference beyond `loss` times the sum of the absolute terms. */
function excess(got: Float32Array, want: Float64Array, terms: Float64Array, loss: number): number {
  return Math.max(
    ...got.map((x, i) =>
      Number.isNaN(x) ? Number.POSITIVE_INFINITY : Math.abs(x - want[i]) - loss * terms[i],
    ),
  );
}

/** Attention and its gradient, written down as their definition, and the sums of the absolute terms of both. */
function attention(
  qkv: Float32Array,
  dout: Float32Array,
  firstKey: Int32Array,
  { rows, heads, kvHeads, headDim }: { rows: number; heads: number; kvHeads: number; headDim: number },
  scale: number,
) {
  const columns = (heads + 2 * kvHeads) * headDim;
  const out = new Float64Array(rows * heads * headDim);
  const lse = new Float64Array(heads * rows);
  const dqkv = new Float64Array(qkv.length);
  const doutSizes = dout.map(Math.abs);
  const outTerms = new Float64Array(out.length);
  const dqkvTerms = new Float64Array(qkv.length);
  for (let h = 0; h < heads; h++) {
    const g = Math.floor((h * kvHeads) / heads);
    for (let r = 0; r < rows; r++) {
      const q = r * columns + h * headDim;
      const keyAt = (j: number) => j * columns + (heads + g) * headDim;
      const valueAt = (j: number) => keyAt(j) + kvHeads * headDim;
      const o = (r * heads + h) * headDim;
      const keys = Array.from({ length: r - firstKey[r] + 1 }, (_, i) => firstKey[r] + i);
      const dot = (x: ArrayLike<number>, i: number, y: ArrayLike<number>, j: number) => {
        let sum = 0;
        for (let p = 0; p < headDim; p++) sum += x[i + p] * y[j + p];
        return sum;
      };
      const scores = keys.map((j) => dot(qkv, q, qkv, keyAt(j)) * scale);
      lse[h * rows + r] = Math.log(scores.reduce((sum, s) => sum + Math.exp(s), 0));
      const probs = scores.map((s) => Math.exp(s - lse[h * rows + r]));
      keys.forEach((j, i) => {
        for (let p = 0; p < headDim; p++) {
          out[o + p] += probs[i] * qkv[valueAt(j) + p];
          outTerms[o + p] += probs[i] * Math.abs(qkv[valueAt(j) + p]);
        }
      });
      const delta = dot(out, o, dout, o);
      const deltaTerms = dot(outTerms, o, doutSizes, o);
      keys.forEach((j, i) => {
        const dprob = dot(dout, o, qkv, valueAt(j));
        const dscore = probs[i] * (dprob - delta) * scale;
        const dscoreTerms = probs[i] * (Math.abs(dprob) + deltaTerms) * scale;
        for (let p = 0; p < headDim; p++) {
          dqkv[valueAt(j) + p] += probs[i] * dout[o + p];
          dqkv[keyAt(j) + p] += dscore * qkv[q + p];
          dqkv[q + p] += dscore * qkv[keyAt(j) + p];
          dqkvTerms[valueAt(j) + p] += probs[i] * doutSizes[o + p];
          dqkvTerms[q + p] += dscoreTerms * Math.abs(qkv[keyAt(j) + p]);
          dqkvTerms[keyAt(j) + p] += dscoreTerms * Math.abs(qkv[q + p]);
        }
      });
    }
  }
  return { out, lse, dqkv, outTerms, dqkvTerms };
}
