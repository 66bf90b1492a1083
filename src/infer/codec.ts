/** A tokenizer as the engine sees it: tokens by their bytes, the ids that end an answer, the chat template. */
import { type ChatMessage, encodeChat, type Tokenizer } from '../tokenizer/index.ts';
import type { TextCodec } from './model.ts';

const IM_START = '<|im_start|>';
const IM_END = '<|im_end|>';
/** Of one character: what a tokenizer by characters makes one unknown token of. */
const MAX_CHARACTER_BYTES = 4;

export interface CodecOptions {
  /**
   * How a conversation becomes a prompt: Jinja source as in tokenizer_config.json; default ChatML where the vocabulary
   * has its tokens. `none`: the texts are joined and continued, which suits a base model: it has never seen those tokens.
   */
  readonly chatTemplate?: string;
  /** ids that end an answer; default: the end of text, and of a turn in ChatML */
  readonly stopIds?: readonly number[];
  /** texts that the template sees as `bos_token` and `eos_token`; default: the tokenizer's */
  readonly beginOfText?: string;
  readonly endOfText?: string;
}

/** The codec of `tokenizer`. Names of special tokens in a text or message are text, never control tokens. */
export function codecOf(tokenizer: Tokenizer, options: CodecOptions = {}): TextCodec {
  const { chatTemplate, stopIds, beginOfText, endOfText } = options;
  const { vocabSize, endOfTextId, specialTokens } = tokenizer;
  const special = new Set(specialTokens.values());
  const imEnd = specialTokens.get(IM_END);
  let maxTokenBytes = MAX_CHARACTER_BYTES;
  for (let id = 0; id < vocabSize; id++) {
    maxTokenBytes = Math.max(maxTokenBytes, tokenizer.tokenBytes(id).length);
  }
  const codec: TextCodec = {
    encode: (text) => tokenizer.encode(text, { addSpecialTokens: true }),
    tokenBytes: (id) => tokenizer.tokenBytes(id),
    isSpecial: (id) => special.has(id),
    endOfTextId,
    stopIds: stopIds ?? (imEnd === undefined ? [endOfTextId] : [endOfTextId, imEnd]),
    maxTokenBytes,
  };
  const isChatMl = specialTokens.has(IM_START) && imEnd !== undefined;
  if (chatTemplate === 'none' || (chatTemplate === undefined && !isChatMl)) return codec;
  return {
    ...codec,
    // Roles are checked by the template's room, which also takes them from other places than here.
    encodeChat: (messages) =>
      encodeChat(tokenizer, messages as ChatMessage[], {
        addGenerationPrompt: true,
        ...(chatTemplate === undefined ? {} : { chatTemplate }),
        ...(beginOfText === undefined ? {} : { beginOfText }),
        ...(endOfText === undefined ? {} : { endOfText }),
      }),
  };
}
