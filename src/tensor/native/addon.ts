/**
 * The methods of the addon as JavaScript sees them. Families are typed in the files beside this one; every method takes
 * its arguments by position and checks sizes, lengths and indices before a kernel runs. What does not fit is an Error whose
 * `code` is `kernel_arguments_invalid`: a mistake of the caller.
 */
import { DabarexError } from '../../base/index.ts';

/** One instruction set's methods, by name. */
export type NativeMethods = Readonly<Record<string, (...args: never[]) => unknown>>;

export interface Addon {
  /** What this processor runs, best last. */
  instructionSets(): string[];
  create(isa: string): NativeMethods;
}

/** Zeroed memory of the addon, freed with the buffer. @throws kernel_memory_exhausted */
export function allocateMemory(methods: NativeMethods, sizeBytes: number): ArrayBuffer {
  try {
    return methodsOf<{ allocate(sizeBytes: number): ArrayBuffer }>(methods).allocate(sizeBytes);
  } catch (cause) {
    if ((cause as { code?: string }).code !== 'kernel_memory_exhausted') throw cause;
    throw new DabarexError(
      'kernel_memory_exhausted',
      `The system gave no memory for a tensor of ${sizeBytes} bytes. Use a smaller model or batch, or close other programs.`,
      { sizeBytes },
      { cause },
    );
  }
}

/** Methods of a family with their types; the addon's own checks stand behind the cast. */
export function methodsOf<T>(methods: NativeMethods): T {
  return methods as unknown as T;
}
