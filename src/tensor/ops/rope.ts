/**
 * Rotary positions (Su et al. 2021): the angle of every position and pair of columns, also where a model was stretched to longer
 * sequences than it was trained on.
 * @see Chen et al. 2023 (linear interpolation); Peng et al. 2023 (YaRN); the Llama 3 models' rope_scaling
 */
import type { FloatArray } from '../kernels.ts';
import type { RopeTable } from './attention.ts';

export type RopeScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxSeqLen: number;
    }
  | {
      readonly kind: 'yarn';
      readonly factor: number;
      readonly originalMaxSeqLen: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** what cos and sin are multiplied by; absent: 0.1 ln(factor) + 1 */
      readonly attentionFactor?: number;
    };

/** Angle per position of every pair of columns, [P/2]: theta^(-2i/P), scaled. */
export function inverseFrequencies(
  headDim: number,
  theta: number,
  scaling?: RopeScaling | null,
): Float64Array {
  const plain = Float64Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
  if (!scaling) return plain;
  if (scaling.kind === 'linear') return plain.map((each) => each / scaling.factor);
  if (scaling.kind === 'llama3') return plain.map((each) => each / llama3Divisor(each, scaling));
  return yarnFrequencies(plain, headDim, theta, scaling);
}

/** What Llama 3 divides a frequency by: 1 for short waves, `factor` for long ones, a blend between. */
function llama3Divisor(frequency: number, scaling: RopeScaling & { kind: 'llama3' }): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxSeqLen } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < originalMaxSeqLen / highFreqFactor) return 1;
  if (wavelength > originalMaxSeqLen / lowFreqFactor) return factor;
  const smooth = (originalMaxSeqLen / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return 1 / ((1 - smooth) / factor + smooth);
}

/** Pairs that turn often keep their frequency, those that turn less than once are interpolated, a ramp between. */
function yarnFrequencies(
  plain: Float64Array,
  headDim: number,
  theta: number,
  scaling: RopeScaling & { kind: 'yarn' },
): Float64Array {
  const { factor, originalMaxSeqLen, betaFast, betaSlow } = scaling;
  const pairThatTurns = (times: number) =>
    (headDim * Math.log(originalMaxSeqLen / (times * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(pairThatTurns(betaFast)), 0);
  const high = Math.min(Math.ceil(pairThatTurns(betaSlow)), headDim - 1);
  return plain.map((each, i) => {
    const ramp = Math.min(1, Math.max(0, (i - low) / Math.max(0.001, high - low)));
    return (each / factor) * ramp + each * (1 - ramp);
  });
}

/** cos and sin for positions 0..length-1, in memory from `floats`. */
export function ropeTable(
  length: number,
  headDim: number,
  theta: number,
  floats: (n: number) => FloatArray,
  scaling?: RopeScaling | null,
): RopeTable {
  const half = headDim / 2;
  const cos = floats(length * half);
  const sin = floats(length * half);
  const frequencies = inverseFrequencies(headDim, theta, scaling);
  const size = scaling?.kind === 'yarn' ? (scaling.attentionFactor ?? 0.1 * Math.log(scaling.factor) + 1) : 1;
  for (let position = 0; position < length; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i]!;
      cos[position * half + i] = size * Math.cos(angle);
      sin[position * half + i] = size * Math.sin(angle);
    }
  }
  return { cos, sin };
}
