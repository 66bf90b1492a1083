export { Arena, type ArenaOptions, type FloatType } from './arena.ts';
export {
  BLOCK_FORMATS,
  type BlockFormat,
  type BlockKernels,
  blockBytes,
  QUANTIZABLE,
  type QuantizableFormat,
} from './block-format.ts';
export { Checksum } from './checksum.ts';
export { createKernels, type EngineOptions, resolvePrecision } from './engine.ts';
export type * from './kernels.ts';
export { INT8_BLOCK } from './kernels.ts';
export type { Machine } from './machine.ts';
export { loadNative, type NativeOptions, nativeInstructionSets, nativeUnavailableReason } from './native.ts';
export * from './ops/index.ts';
export {
  fillParameter,
  type Init,
  type Parameter,
  ParameterStore,
  type ParameterStoreOptions,
} from './parameter.ts';
export { profiledKernels } from './profiled.ts';
export { createReferenceKernels } from './reference/index.ts';
export { Tape, type TapeOptions } from './tape.ts';
export { asMatrix, sizeOf, Tensor } from './tensor.ts';
export {
  type Cost,
  type MemoryKind,
  type SpanKind,
  type TracedCall,
  type Tracer,
  withinSpan,
} from './tracer.ts';
export { packedFormatOf, WEIGHT_KINDS, type WeightKind } from './weight-kind.ts';
