/** Gradient clipping by the global norm (Pascanu et al. 2013). */
import type { Kernels, Parameter } from '../tensor/index.ts';

/** Euclidean norm of all gradients together. */
export function gradientNorm(kernels: Kernels, parameters: readonly Parameter[]): number {
  let squares = 0;
  for (const { tensor } of parameters) if (tensor.hasGrad) squares += kernels.sumOfSquares(tensor.grad!);
  return Math.sqrt(squares);
}

/** What to multiply gradients of norm `norm` by so that they do not exceed `maxNorm` (0: no clipping). */
export function clipScale(norm: number, maxNorm: number): number {
  return maxNorm > 0 && norm > maxNorm ? maxNorm / norm : 1;
}
