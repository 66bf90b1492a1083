/**
 * AdamW (Loshchilov and Hutter 2019, algorithm 2), in PyTorch's order: decay, moments, step.
 * m = β1·m + (1-β1)·g, v = β2·v + (1-β2)·g², param -= lr · (m / (1-β1^t)) / (sqrt(v / (1-β2^t)) + ε).
 */
import { assert } from '../../base/index.ts';
import type { AdamWOptions, FloatArray } from '../kernels.ts';
import { checkLength } from './lengths.ts';

export function adamw(
  param: FloatArray,
  m: FloatArray,
  v: FloatArray,
  grad: FloatArray,
  options: AdamWOptions,
): void {
  for (const array of [m, v, grad]) checkLength('m, v or grad', array, param.length);
  const { learningRate, beta1, beta2, epsilon, weightDecay, step, gradScale } = options;
  assert(Number.isInteger(step) && step >= 1, `step is ${step}, expected an integer >= 1`);
  const correction1 = 1 - beta1 ** step;
  const correction2 = 1 - beta2 ** step;
  for (let i = 0; i < param.length; i++) {
    const g = grad[i] * gradScale;
    const first = beta1 * m[i] + (1 - beta1) * g;
    const second = beta2 * v[i] + (1 - beta2) * g * g;
    const update = first / correction1 / (Math.sqrt(second / correction2) + epsilon);
    param[i] = param[i] * (1 - learningRate * weightDecay) - learningRate * update;
    m[i] = first;
    v[i] = second;
  }
}
