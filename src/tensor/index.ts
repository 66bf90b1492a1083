export { Arena, type FloatType } from './arena.ts';
export { createKernels, type EngineOptions, resolvePrecision } from './engine.ts';
export type * from './kernels.ts';
export { loadNative, type NativeOptions, nativeInstructionSets, nativeUnavailableReason } from './native.ts';
export * from './ops/index.ts';
export { type Init, type Parameter, ParameterStore, type ParameterStoreOptions } from './parameter.ts';
export { createReferenceKernels } from './reference/index.ts';
export { Tape, type TapeOptions } from './tape.ts';
export { asMatrix, sizeOf, Tensor } from './tensor.ts';
