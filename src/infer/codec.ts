/** A tokenizer as the engine sees it: tokens by their bytes, the ids that end an answer, the chat template. */
import { END_OF_TEXT, type Tokenizer } from '../tokenizer/index.ts';
import type { ChatMessage, TextCodec } from './model.ts';

const IM_START = '<|im_start|>';
const IM_END = '<|im_end|>';
/** Of one character: what a tokenizer by characters makes one unknown token of. */
const MAX_CHARACTER_BYTES = 4;

/**
 * The codec of `tokenizer`. Chat follows ChatML where the vocabulary has its two tokens: the same form a model is
 * taught conversations in. A base model has never seen one and only continues text.
 */
export function codecOf(tokenizer: Tokenizer): TextCodec {
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
    stopIds: [...new Set([specialTokens.get(END_OF_TEXT) ?? endOfTextId, endOfTextId, imEnd ?? endOfTextId])],
    maxTokenBytes,
  };
  if (imStart === undefined || imEnd === undefined) return codec;
  const open = (role: string) => [imStart, ...tokenizer.encode(`${role}\n`)];
  const turn = ({ role, content }: ChatMessage) => [
    imStart,
    ...tokenizer.encode(`${role}\n${content}`),
    imEnd,
    ...tokenizer.encode('\n'),
  ];
  return { ...codec, encodeChat: (messages) => [...messages.flatMap(turn), ...open('assistant')] };
}
