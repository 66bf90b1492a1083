/**
 * The scalar functions of the element-wise kernels and their derivatives, in double precision.
 * `gelu` is the exact one, x · Φ(x) (Hendrycks and Gimpel 2016), as PyTorch's default; `gelu-tanh` the approximation of the
 * same paper, 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))).
 */
import type { UnaryOp } from '../kernels.ts';

export interface ScalarFunction {
  value(x: number): number;
  /** d value / dx at x, where y = value(x) */
  derivative(x: number, y: number): number;
}

export const SCALAR_FUNCTIONS: Readonly<Record<UnaryOp, ScalarFunction>> = {
  neg: { value: (x) => -x, derivative: () => -1 },
  exp: { value: Math.exp, derivative: (_x, y) => y },
  log: { value: Math.log, derivative: (x) => 1 / x },
  tanh: { value: Math.tanh, derivative: (_x, y) => 1 - y * y },
  sigmoid: { value: sigmoid, derivative: (_x, y) => y * (1 - y) },
  silu: { value: (x) => x * sigmoid(x), derivative: siluDerivative },
  gelu: { value: (x) => x * normalCdf(x), derivative: (x) => normalCdf(x) + x * normalDensity(x) },
  'gelu-tanh': { value: geluTanh, derivative: geluTanhSlope },
  relu: { value: (x) => Math.max(x, 0), derivative: (x) => (x > 0 ? 1 : 0) },
  square: { value: (x) => x * x, derivative: (x) => 2 * x },
  sqrt: { value: Math.sqrt, derivative: (_x, y) => 0.5 / y },
};

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function siluDerivative(x: number): number {
  const s = sigmoid(x);
  return s * (1 + x * (1 - s));
}

const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBE = 0.044715;

function geluTanh(x: number): number {
  return 0.5 * x * (1 + Math.tanh(GELU_SCALE * (x + GELU_CUBE * x ** 3)));
}

function geluTanhSlope(x: number): number {
  const t = Math.tanh(GELU_SCALE * (x + GELU_CUBE * x ** 3));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU_SCALE * (1 + 3 * GELU_CUBE * x * x);
}

function normalDensity(x: number): number {
  return Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
}

/**
 * Φ(x), to about 1e-15: the series Φ = 1/2 + φ(x) · (x + x³/3 + x⁵/15 + ...) near 0 (Marsaglia 2004, "Evaluating the
 * normal distribution"), the continued fraction of the upper tail (Abramowitz and Stegun 26.2.14) beyond.
 */
export function normalCdf(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  const magnitude = Math.abs(x);
  if (magnitude < 3) {
    let term = x;
    let sum = x;
    for (let i = 3; Math.abs(term) > 1e-17 * Math.abs(sum); i += 2) {
      term *= (x * x) / i;
      sum += term;
    }
    return 0.5 + normalDensity(x) * sum;
  }
  let fraction = magnitude;
  for (let i = 200; i >= 1; i--) fraction = magnitude + i / fraction;
  const tail = normalDensity(magnitude) / fraction;
  return x < 0 ? tail : 1 - tail;
}
