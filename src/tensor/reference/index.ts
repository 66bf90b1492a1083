/**
 * The kernels in plain TypeScript: their specification, the oracle of the fast ones, and what runs where no addon loads.
 * Arithmetic is in double precision with one rounding when a result is stored; written to be read, not to be fast.
 */
import { assert } from '../../base/index.ts';
import type { Kernels } from '../kernels.ts';
import { attentionKernels } from './attention.ts';
import { blockKernels } from './blocks/index.ts';
import { dispatchKernels } from './dispatch.ts';
import { elementwiseKernels } from './elementwise.ts';
import { embeddingKernels } from './embedding.ts';
import { gluKernels } from './glu.ts';
import { measurePeakFlops, measureReadBandwidth } from './limits.ts';
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
    measureReadBandwidth,
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
    ...blockKernels,
  };
}
