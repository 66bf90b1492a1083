/** Which kernels to run on. */
import { assert } from '../base/index.ts';
import type { Kernels, Precision } from './kernels.ts';
import { loadNative } from './native.ts';
import { createReferenceKernels } from './reference/index.ts';

export interface EngineOptions {
  /** of the process's pool, which all kernels share; as it is when absent (one at first) */
  readonly threads?: number;
  /** a native instruction set by name, or `reference`; default: the best this machine has */
  readonly isa?: string;
}

/** The native kernels where they are built for this machine, else the plain TypeScript ones. */
export function createKernels(options: EngineOptions = {}): Kernels {
  const kernels =
    options.isa === 'reference'
      ? createReferenceKernels()
      : (loadNative(options) ?? createReferenceKernels());
  assert(
    options.threads === undefined || options.threads >= 1,
    `threads must be at least 1, not ${options.threads}`,
  );
  if (options.threads !== undefined) kernels.setThreads(options.threads);
  return kernels;
}

/** What `auto` means on these kernels: bf16 where the hardware multiplies it. */
export function resolvePrecision(kernels: Kernels, precision: Precision | 'auto'): Precision {
  if (precision !== 'auto') return precision;
  return kernels.hasFastBf16 ? 'bf16' : 'f32';
}
