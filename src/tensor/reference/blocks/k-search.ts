/**
 * How the K formats look for the scale (and the least value) of a sub-block: rounding with a number of scales around the
 * obvious one, each followed by the weighted least-squares fit to the levels it gives; the best is kept. Every
 * operation is rounded to f32 in ggml's order, so the outcome is its own to the bit.
 * @see https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c make_qx_quants, make_qkx2_quants
 */
const { abs, fround } = Math;

/** Below it a sub-block counts as all zero. */
export const GROUP_MAX_EPS = fround(1e-15);
const TENTH = fround(0.1);

const scratch = () => {
  const float = new Float32Array(1);
  return { float, bits: new Int32Array(float.buffer) };
};

/** Makes ggml's rounding to a whole number, ties to even, by the mantissa of value + 1.5 · 2^23; beyond 2^22 it wraps as there. */
export function nearestIntOf(): (value: number) => number {
  const { float, bits } = scratch();
  return (value) => {
    float[0] = value + 12582912;
    return (bits[0]! & 0x7fffff) - 0x400000;
  };
}

export type NearestInt = ReturnType<typeof nearestIntOf>;

/** What a search found. */
export interface ScaleAndMin {
  scale: number;
  /** to be added while searching, to be subtracted in what is returned */
  min: number;
}

/**
 * Q6_K: levels 0..63 standing for -32..31 times the scale, weighted by x².
 * @param levels written from `from` on, like x
 */
export function searchScale(
  x: Float32Array,
  from: number,
  count: number,
  levels: Int8Array,
  nearestInt: NearestInt,
): number {
  const half = 32;
  let farthest = 0;
  for (let i = from; i < from + count; i++) if (abs(x[i]!) > abs(farthest)) farthest = x[i]!;
  if (abs(farthest) < GROUP_MAX_EPS) {
    levels.fill(0, from, from + count);
    return 0;
  }
  const levelOf = (inverse: number, i: number) => {
    const level = nearestInt(fround(inverse * x[i]!));
    return level < -half ? -half : Math.min(level, half - 1);
  };
  const keep = (inverse: number) => {
    for (let i = from; i < from + count; i++) levels[i] = levelOf(inverse, i) + half;
  };
  const leastSquaresOf = (inverse: number): [lx: number, l2: number] => {
    let [lx, l2] = [0, 0];
    for (let i = from; i < from + count; i++) {
      const level = levelOf(inverse, i);
      const weight = fround(x[i]! * x[i]!);
      lx = fround(lx + fround(fround(weight * x[i]!) * level));
      l2 = fround(l2 + fround(fround(weight * level) * level));
    }
    return [lx, l2];
  };
  const first = fround(-half / farthest);
  keep(first);
  const [lx, l2] = leastSquaresOf(first);
  let scale = l2 !== 0 ? fround(lx / l2) : 0;
  let best = fround(scale * lx);
  for (let step = -9; step <= 9; step++) {
    if (step === 0) continue;
    const inverse = fround(-fround(half + fround(TENTH * step)) / farthest);
    const [lx, l2] = leastSquaresOf(inverse);
    if (l2 > 0 && fround(lx * lx) > fround(best * l2)) {
      keep(inverse);
      scale = fround(lx / l2);
      best = fround(scale * lx);
    }
  }
  return scale;
}

/**
 * Q4_K: levels 0..15, value = scale · level - min, by the squared error weighted by `weights`.
 * @param x the sub-block, of the length of weights, levels and trial
 * @param trial scratch
 */
export function searchScaleAndMin(
  x: Float32Array,
  weights: Float32Array,
  levels: Uint8Array,
  trial: Uint8Array,
  nearestInt: NearestInt,
): ScaleAndMin {
  const [last, steps] = [15, 20];
  const { most, least, sumW, sumX } = sumsOf(x, weights);
  // Once a better least value is found, the next trials start from it.
  let min = Math.min(least, 0);
  if (most === min) {
    levels.fill(0);
    return { scale: 0, min: -min };
  }
  const round = (inverse: number, into: Uint8Array) => {
    for (let i = 0; i < x.length; i++) {
      const level = nearestInt(fround(inverse * fround(x[i]! - min)));
      into[i] = level < 0 ? 0 : Math.min(level, last);
    }
  };
  const inverse = fround(last / fround(most - min));
  let scale = fround(1 / inverse);
  round(inverse, levels);
  let bestError = errorOf(x, weights, levels, scale, min);
  for (let step = 0; step <= steps; step++) {
    round(fround(fround(fround(fround(TENTH * step) - 1) + last) / fround(most - min)), trial);
    const found = leastSquares(x, weights, trial, sumW, sumX);
    if (!found) continue;
    const error = errorOf(x, weights, trial, found.scale, found.min);
    if (error < bestError) {
      levels.set(trial);
      bestError = error;
      ({ scale, min } = found);
    }
  }
  return { scale, min: -min };
}

function sumsOf(x: Float32Array, weights: Float32Array) {
  let [least, most, sumW, sumX] = [x[0]!, x[0]!, weights[0]!, fround(weights[0]! * x[0]!)];
  for (let i = 1; i < x.length; i++) {
    if (x[i]! < least) least = x[i]!;
    if (x[i]! > most) most = x[i]!;
    sumW = fround(sumW + weights[i]!);
    sumX = fround(sumX + fround(weights[i]! * x[i]!));
  }
  return { least, most, sumW, sumX };
}

/** The scale and the least value (at most 0) that fit these levels best; null where there is no single one. */
function leastSquares(
  x: Float32Array,
  weights: Float32Array,
  levels: Uint8Array,
  sumW: number,
  sumX: number,
): ScaleAndMin | null {
  let [sumL, sumL2, sumXL] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const wl = fround(weights[i]! * levels[i]!);
    sumL = fround(sumL + wl);
    sumL2 = fround(sumL2 + fround(wl * levels[i]!));
    sumXL = fround(sumXL + fround(wl * x[i]!));
  }
  const determinant = fround(fround(sumW * sumL2) - fround(sumL * sumL));
  if (!(determinant > 0)) return null;
  const min = fround(fround(fround(sumL2 * sumX) - fround(sumL * sumXL)) / determinant);
  if (min > 0) return { scale: fround(sumXL / sumL2), min: 0 };
  return { scale: fround(fround(fround(sumW * sumXL) - fround(sumX * sumL)) / determinant), min };
}

function errorOf(
  x: Float32Array,
  weights: Float32Array,
  levels: Uint8Array,
  scale: number,
  min: number,
): number {
  let error = 0;
  for (let i = 0; i < x.length; i++) {
    const miss = fround(fround(fround(scale * levels[i]!) + min) - x[i]!);
    error = fround(error + fround(weights[i]! * fround(miss * miss)));
  }
  return error;
}
