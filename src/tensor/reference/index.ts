/**
 * The kernels in plain TypeScript: their specification, the oracle of the fast ones, and what runs where no addon loads.
 * Arithmetic is in double precision with one rounding when a result is stored; written to be read, not to be fast.
 */
import { assert } from '../../base/index.ts';
import type { Kernels } from '../kernels.ts';
import { attentionKernels } from './attention.ts';
import { dispatchKernels } from './dispatch.ts';
import { elementwiseKernels } from './elementwise.ts';
import { embeddingKernels } from './embedding.ts';
import { gluKernels } from './glu.ts';
import { softmaxKernels } from './loss.ts';
import { matrixKernels } from './matrix.ts';
import { normKernels } from './norm.ts';
import { adamw } from './optimizer.ts';
import { ropeKernels } from './rope.ts';
import { routerKernels } from './router.ts';

/** Kernels over Float32Array or Float64Array (all arguments of a call alike), on one thread. */
export function createReferenceKernels(): Kernels {
  return {
    name: 'reference',
    hasFastBf16: false,
    threads: 1,
    setThreads(threads) {
      assert(Number.isInteger(threads) && threads >= 1, `threads is ${threads}, expected an integer >= 1`);
    },
    allocate: (sizeBytes) => new ArrayBuffer(sizeBytes),
    measurePeakFlops,
    ...matrixKernels,
    ...normKernels,
    ...ropeKernels,
    ...attentionKernels,
    ...gluKernels,
    ...embeddingKernels,
    ...routerKernels,
    ...dispatchKernels,
    ...softmaxKernels,
    adamw,
    ...elementwiseKernels,
  };
}

/** FLOP/s of scalar multiply-adds in this JavaScript engine; the same for both precisions. */
function measurePeakFlops(_precision: string, milliseconds: number): number {
  const start = performance.now();
  const sums = [0.1, 0.2, 0.3, 0.4];
  let flops = 0;
  let elapsedMs = 0;
  do {
    let [a, b, c, d] = sums;
    for (let i = 0; i < 100_000; i++) {
      a = a * 0.999 + 0.001;
      b = b * 0.999 + 0.001;
      c = c * 0.999 + 0.001;
      d = d * 0.999 + 0.001;
    }
    sums.splice(0, 4, a, b, c, d);
    flops += 800_000;
    elapsedMs = performance.now() - start;
  } while (elapsedMs < milliseconds);
  return flops / (elapsedMs / 1000);
}
