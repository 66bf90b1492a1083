/** A tokenizer as the engine sees it: tokens by their bytes, the ids that end an answer, the chat template. */
import type { Tokenizer } from '../tokenizer/index.ts';
import type { ChatMessage, TextCodec } from './model.ts';

const IM_START = '<|im_start|>';
const IM_END = '<|im_end|>';
/** Of one character: what a tokenizer by characters makes one unknown token of. */
const MAX_CHARACTER_BYTES = 4;

export interface CodecOptions {
  /**
   * `chatml` (default): conversations are framed by <|im_start|> and <|im_end|> where the vocabulary has them, the form
   * a model is taught to answer in. `none`: their texts are joined and continued, which suits a base model: it has never
   * seen those tokens.
   */
  readonly chatTemplate?: 'chatml' | 'none';
}

/** The codec of `tokenizer`. Names of special tokens in a text or message are text, never control tokens. */
export function codecOf(tokenizer: Tokenizer, options: CodecOptions = {}): TextCodec {
  const { vocabSize, endOfTextId, specialTokens } = tokenizer;
  const special = new Set(specialTokens.values());
  const imStart = specialTokens.get(IM_START);
  const imEnd = specialTokens.get(IM_END);
  let maxTokenBytes = MAX_CHARACTER_BYTES;
  for (let id = 0; id < vocabSize; id++) {
    maxTokenBytes = Math.max(maxTokenBytes, tokenizer.tokenBytes(id).length);
  }
  const codec: TextCodec = {
    encode: (text) => tokenizer.encode(text),
    tokenBytes: (id) => tokenizer.tokenBytes(id),
    isSpecial: (id) => special.has(id),
    endOfTextId,
    stopIds: imEnd === undefined ? [endOfTextId] : [endOfTextId, imEnd],
    maxTokenBytes,
  };
  if (options.chatTemplate === 'none' || imStart === undefined || imEnd === undefined) return codec;
  const open = (role: string) => [imStart, ...tokenizer.encode(`${role}\n`)];
  const turn = ({ role, content }: ChatMessage) => [
    imStart,
    ...tokenizer.encode(`${role}\n${content}`),
    imEnd,
    ...tokenizer.encode('\n'),
  ];
  return { ...codec, encodeChat: (messages) => [...messages.flatMap(turn), ...open('assistant')] };
}
