export { BpeTokenizer } from './bpe-tokenizer.ts';
export { CharTokenizer, trainChar } from './char-tokenizer.ts';
export {
  CHATML_TEMPLATE,
  type ChatMessage,
  type ChatOptions,
  encodeChat,
  renderChat,
  tokenizerConfig,
} from './chat.ts';
export { CL100K_SPECIAL_TOKENS, cl100kBase, DBRX_SPECIAL_TOKENS, r50kBase } from './cl100k.ts';
export { type TokenizerConfig, tokenizerConfigSchema } from './config.ts';
export { loadTokenizer, parseTokenizer, saveTokenizer } from './parse.ts';
export { SPLIT_PATTERN_SOURCES, type SplitPattern } from './split.ts';
export { TextStream } from './text-stream.ts';
export { TokenBuffer } from './token-buffer.ts';
export {
  DEFAULT_SPECIAL_TOKENS,
  type DecodeOptions,
  END_OF_TEXT,
  type EncodeOptions,
  type Tokenizer,
} from './tokenizer.ts';
export type { TokenizerJson } from './tokenizer-json.ts';
export { type TrainBpeOptions, trainBpe } from './train-bpe.ts';
