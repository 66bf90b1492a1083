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
export { CL100K_SPECIAL_TOKENS, cl100kBase, DBRX_SPECIAL_TOKENS, o200kBase, r50kBase } from './cl100k.ts';
export { type TokenizerConfig, tokenizerConfigSchema } from './config.ts';
export { type LoadedTokenizer, loadTokenizerFolder } from './folder.ts';
export { type GgufVocabularyOptions, ggufVocabularyOf } from './gguf-export.ts';
export { type GgufVocabulary, stopIdsOfGguf, tokenizerFromGguf } from './gguf-vocabulary.ts';
export { tokenizerFromLlama2c } from './llama2c-vocabulary.ts';
export { loadTokenizer, parseTokenizer, saveTokenizer, type TokenHints } from './parse.ts';
export { type RanksOptions, tokenizerFromRanks } from './ranks.ts';
export { SpmTokenizer } from './spm-tokenizer.ts';
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
