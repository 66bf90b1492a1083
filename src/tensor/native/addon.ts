/**
 * The methods of the addon as JavaScript sees them. Families are typed in the files beside this one; every method takes
 * its arguments by position and checks lengths before a kernel runs.
 */
/** One instruction set's methods, by name. */
export type NativeMethods = Readonly<Record<string, (...args: never[]) => unknown>>;

export interface Addon {
  /** What this processor runs, best last. */
  instructionSets(): string[];
  create(isa: string): NativeMethods;
}

/** Methods of a family with their types; the addon's own checks stand behind the cast. */
export function methodsOf<T>(methods: NativeMethods): T {
  return methods as unknown as T;
}
