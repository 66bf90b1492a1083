/** Kernels that tell a tracer of every call: when it began and ended, and what it had to do. */
import { COSTS, type KernelName, type PackedBytes, packedSizeBytes } from './cost.ts';
import { INT8_BLOCK, type Kernels, type PackedFormat } from './kernels.ts';
import type { Cost, Tracer } from './tracer.ts';

/** The same kernels, results and all; tapes, arenas and trainers made with them tell `tracer` what they do, too. */
export function profiledKernels(kernels: Kernels, tracer: Tracer): Kernels {
  const packedBytes: PackedBytes = (format) => {
    if (format === 'int8-weights') return 1 + 4 / INT8_BLOCK;
    return format === 'bf16-weights' || (format === 'bf16' && kernels.hasFastBf16) ? 2 : 4;
  };
  const createPacked = (k: number, n: number, groups: number, format: PackedFormat) => {
    const packed = kernels.createPacked(k, n, groups, format);
    tracer.memoryTaken(packed, 'packed', packedSizeBytes(packed, packedBytes));
    return packed;
  };
  const own: PropertyDescriptorMap = { tracer: { value: tracer }, createPacked: { value: createPacked } };
  for (const name of Object.keys(COSTS) as KernelName[]) {
    own[name] = { value: timed(kernels, name, tracer, packedBytes) };
  }
  return Object.create(kernels, own) as Kernels;
}

function timed(kernels: Kernels, name: KernelName, tracer: Tracer, packedBytes: PackedBytes) {
  const run = kernels[name] as (...args: readonly unknown[]) => unknown;
  const costOf = COSTS[name] as (args: readonly unknown[], packedBytes: PackedBytes) => Cost;
  return (...args: readonly unknown[]): unknown => {
    const startMs = tracer.nowMs();
    const result = run.apply(kernels, args as unknown[]);
    const endMs = tracer.nowMs();
    tracer.called({ kind: 'kernel', name, startMs, endMs, ...costOf(args, packedBytes) });
    return result;
  };
}
