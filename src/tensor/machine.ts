/** What an engine is besides its kernels: threads, memory, the limits of the machine it measures, and who looks on. */
import type { Precision } from './kernels.ts';
import type { Tracer } from './tracer.ts';

export interface Machine {
  /** e.g. `native-avx512bf16`, `native-baseline`, `reference` */
  readonly name: string;
  /** whether bf16 products run on bf16 hardware; they are emulated (rounded operands, f32 sums) elsewhere */
  readonly hasFastBf16: boolean;
  /** current number of threads, >= 1 */
  readonly threads: number;
  setThreads(threads: number): void;
  /** Zeroed memory, aligned to 64 bytes at least, on huge pages where the system has them. Freed with the buffer. */
  allocate(sizeBytes: number): ArrayBuffer;
  /** Highest FLOP/s this engine reaches in a register-only multiply-add loop of `precision` on `threads` threads. */
  measurePeakFlops(precision: Precision, milliseconds: number): number;
  /**
   * Highest bytes per second at which `threads` threads together read memory beyond the caches, each a region of its own.
   * Takes 256 MiB or 32 MiB a thread, whichever is more, for as long as it runs.
   */
  measureReadBandwidth(milliseconds: number): number;
  /** told of arenas, spans of the tape and kernels; only engines made by `profiledKernels` have one */
  readonly tracer?: Tracer;
}
