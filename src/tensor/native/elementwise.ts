/** Elementwise kernels of the addon (native/kernels/elementwise.cc). */
import type { ElementwiseKernels, FloatArray } from '../kernels.ts';
import { methodsOf, type NativeMethods } from './addon.ts';

interface Methods {
  fill(y: FloatArray, value: number): void;
  scale(y: FloatArray, x: FloatArray, alpha: number, accumulate: boolean): void;
}

export function elementwiseKernels(methods: NativeMethods): Pick<ElementwiseKernels, 'fill' | 'scale'> {
  const native = methodsOf<Methods>(methods);
  return {
    fill: (y, value) => native.fill(y, value),
    scale: (y, x, alpha, accumulate = false) => native.scale(y, x, alpha, accumulate),
  };
}
