export { checkTensors, shapesOf, type TensorShapes } from './compare.ts';
export {
  type Checkpoint,
  findCheckpoint,
  type LatestCheckpoint,
  latestCheckpoint,
  listCheckpoints,
  pruneCheckpoints,
  saveCheckpoint,
} from './folders.ts';
export * from './gguf/index.ts';
export { quantizeParts } from './quantize.ts';
export {
  type ArrayDtype,
  readSafetensors,
  type SafetensorsFile,
  type TensorData,
  type TensorToWrite,
  writeSafetensors,
} from './safetensors.ts';
export type { SafetensorsDtype, TensorInfo } from './safetensors-header.ts';
export { verifyChecksums } from './verify.ts';
