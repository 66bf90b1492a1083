/**
 * The only loader of the addon, and the native implementation of {@link Kernels}. One family of kernels per file of
 * native/; here they are put together. Where the addon is looked for: native/addon-file.ts.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Kernels, Precision } from './kernels.ts';
import { type Addon, allocateMemory, methodsOf, type NativeMethods } from './native/addon.ts';
import { findAddon } from './native/addon-file.ts';
import { attentionKernels } from './native/attention.ts';
import { blockKernels } from './native/blocks.ts';
import { elementwiseKernels } from './native/elementwise.ts';
import { matrixKernels } from './native/matrix.ts';
import { memoryBoundKernels } from './native/memory-bound.ts';

export interface NativeOptions {
  /** instruction set: baseline, avx2, avx512, avx512bf16; the best of this processor when absent */
  readonly isa?: string;
  /** threads of the process's pool; as it is when absent (1 at first) */
  readonly threads?: number;
}

interface EngineMethods {
  threads(): number;
  setThreads(threads: number): void;
  hasFastBf16(): boolean;
  measureFlops(bf16: boolean, milliseconds: number): number;
  measureRead(milliseconds: number): number;
}

/** Instruction sets of the addon that this processor runs, best last; empty where the addon is absent. */
export function nativeInstructionSets(): string[] {
  return openAddon().addon?.instructionSets() ?? [];
}

/** The addon's part of a checksum (checksum.ts), or null where the addon is absent. */
export function nativeChecksumBlocks(): ((state: Int32Array, bytes: Uint8Array) => void) | null {
  const { addon } = openAddon();
  if (!addon) return null;
  const methods = addon.create(addon.instructionSets()[0]!);
  return methodsOf<{ checksumBlocks(state: Int32Array, bytes: Uint8Array): void }>(methods).checksumBlocks;
}

/** Why {@link loadNative} gives null here, or null when the addon loads. */
export function nativeUnavailableReason(): string | null {
  return openAddon().reason;
}

/**
 * The native kernels, or null where the addon is absent or cannot be loaded ({@link nativeUnavailableReason} says why).
 * @throws Error when the processor lacks `isa`
 */
export function loadNative(options: NativeOptions = {}): Kernels | null {
  const { addon } = openAddon();
  if (!addon) return null;
  const isa = options.isa ?? addon.instructionSets().at(-1)!;
  const methods = addon.create(isa);
  const kernels = assemble(methods, isa);
  if (options.threads !== undefined) kernels.setThreads(options.threads);
  return kernels;
}

function assemble(methods: NativeMethods, isa: string): Kernels {
  const engine = methodsOf<EngineMethods>(methods);
  const families = {
    ...matrixKernels(methods),
    ...attentionKernels(methods),
    ...elementwiseKernels(methods),
    ...memoryBoundKernels(methods),
    ...blockKernels(methods),
  };
  const kernels = {
    name: `native-${isa}`,
    hasFastBf16: engine.hasFastBf16(),
    get threads() {
      return engine.threads();
    },
    setThreads: (threads: number) => engine.setThreads(threads),
    allocate: (sizeBytes: number) => allocateMemory(methods, sizeBytes),
    measurePeakFlops: (precision: Precision, milliseconds: number) =>
      engine.measureFlops(precision === 'bf16', milliseconds),
    measureReadBandwidth: (milliseconds: number) => engine.measureRead(milliseconds),
  };
  return Object.defineProperties(families, Object.getOwnPropertyDescriptors(kernels)) as Kernels;
}

function openAddon(): { addon: Addon | null; reason: string | null } {
  const { path, reason } = findAddon(fileURLToPath(new URL('../..', import.meta.url)));
  if (!path) return { addon: null, reason };
  try {
    return { addon: createRequire(import.meta.url)(path) as Addon, reason: null };
  } catch (error) {
    return { addon: null, reason: `${path} cannot be loaded: ${(error as Error).message}` };
  }
}
