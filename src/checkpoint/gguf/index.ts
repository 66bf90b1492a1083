export type { GgufTensor } from './header.ts';
export { type GgufFile, openGguf } from './reader.ts';
export { type GgmlType, ggmlBytes } from './tensor-types.ts';
export {
  type GgufArray,
  type GgufMetadata,
  type GgufNumberType,
  type GgufType,
  type GgufValue,
  ggufBool,
  ggufNumber,
  ggufNumbers,
  ggufString,
  ggufStrings,
  type StringList,
} from './values.ts';
export { type GgufTensorToWrite, type GgufToWrite, type GgufWriteOptions, writeGguf } from './writer.ts';
