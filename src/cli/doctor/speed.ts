/** What the machine reaches, measured by the engine: multiply-adds and reading, on one thread and on all, and huge pages. */
import type { Kernels, Precision } from '../../tensor/index.ts';
import { hugePageBytes } from './machine.ts';

/** Rates are those of the best window. */
export interface Speed {
  readonly threads: number;
  /** FLOP/s */
  readonly f32Flops: number;
  /** FLOP/s; null where bf16 products are emulated in f32 */
  readonly bf16Flops: number | null;
  /** bytes per second */
  readonly readBandwidth: number;
  /** processor time over time for all threads, in a loop that never waits: below 1 where other work takes the cores */
  readonly undisturbed: number;
}

const WINDOWS = 20;
const WINDOW_MS = 10;
const READ_MS = 300;
const HUGE_PAGE_PROBE_BYTES = 64 << 20;

/** Measures on one thread, then on `threads`; leaves the engine on the latter. */
export function measureSpeeds(kernels: Kernels, threads: number): Speed[] {
  return [...new Set([1, threads])].map((count) => {
    kernels.setThreads(count);
    const startMs = performance.now();
    const cpuBefore = process.cpuUsage();
    const f32Flops = peakFlops(kernels, 'f32');
    const { user, system } = process.cpuUsage(cpuBefore);
    const availableMs = count * (performance.now() - startMs);
    return {
      threads: count,
      f32Flops,
      bf16Flops: kernels.hasFastBf16 ? peakFlops(kernels, 'bf16') : null,
      readBandwidth: kernels.measureReadBandwidth(READ_MS),
      undisturbed: Math.min(1, (user + system) / 1000 / availableMs),
    };
  });
}

function peakFlops(kernels: Kernels, precision: Precision): number {
  const windows = Array.from({ length: WINDOWS }, () => kernels.measurePeakFlops(precision, WINDOW_MS));
  return Math.max(...windows);
}

/** Part of an arena's block that lies on huge pages once written; null where the system does not tell. */
export function hugePageShare(kernels: Kernels): number | null {
  const before = hugePageBytes();
  const block = new Float32Array(kernels.allocate(HUGE_PAGE_PROBE_BYTES));
  kernels.fill(block, 1);
  const after = hugePageBytes();
  if (before === null || after === null) return null;
  return Math.min(1, Math.max(0, (after - before) / block.byteLength));
}
