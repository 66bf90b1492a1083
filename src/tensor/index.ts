export { Arena, type FloatType } from './arena.ts';
export type * from './kernels.ts';
export * from './ops/index.ts';
export { Tape, type TapeOptions } from './tape.ts';
export { asMatrix, sizeOf, Tensor } from './tensor.ts';
