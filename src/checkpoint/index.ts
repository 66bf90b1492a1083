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
export {
  type HfFolder,
  type HfFolderToWrite,
  type HfWriteOptions,
  openHfFolder,
  writeHfFolder,
} from './hf-folder.ts';
export {
  type Llama2cConfig,
  type Llama2cFile,
  type Llama2cToken,
  openLlama2c,
  readLlama2cTokenizer,
} from './llama2c.ts';
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
