/** From a request's prompt to token ids, checked against the vocabulary and the context before any work is done. */
import { DabarexError } from '../base/index.ts';
import type { ChatMessage, TextCodec } from './model.ts';
import type { GenerateRequest, Prompt } from './request.ts';

interface PromptLimits {
  readonly contextLength: number;
  readonly vocabSize: number;
}

/**
 * The ids of a prompt; an empty one starts from the end-of-text token, as a new document does.
 * A conversation goes through the chat template where the tokenizer has one; otherwise the texts of its messages are
 * joined by blank lines, for a base model to continue.
 * @throws context_length_exceeded, request_invalid
 */
export function promptIds(prompt: Prompt, codec: TextCodec, limits: PromptLimits): number[] {
  const ids = 'ids' in prompt ? checkedIds(prompt.ids, limits) : encoded(prompt, codec, limits);
  if (ids.length > limits.contextLength) throw tooLong(ids.length, limits.contextLength, '');
  return ids.length > 0 ? ids : [codec.endOfTextId];
}

/**
 * How many tokens may be generated: as many as asked for, at most what is left of the context.
 * @throws context_length_exceeded when tokens are wanted and nothing is left
 */
export function maxNewTokens(
  promptLength: number,
  wanted: number | undefined,
  contextLength: number,
): number {
  const left = contextLength - promptLength;
  if (left === 0 && wanted !== 0) throw tooLong(promptLength, contextLength, ' with no room for an answer');
  return Math.min(wanted ?? left, left);
}

/** @throws request_invalid for a bias on an id outside the vocabulary */
export function checkBias(bias: GenerateRequest['logitBias'], vocabSize: number): void {
  const wrong = bias?.find(([id]) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  if (wrong) throw badId('logit_bias', wrong[0], vocabSize);
}

function encoded(
  prompt: { readonly text: string } | { readonly messages: readonly ChatMessage[] },
  codec: TextCodec,
  limits: PromptLimits,
): number[] {
  const texts = 'text' in prompt ? [prompt.text] : prompt.messages.map((message) => message.content);
  const sizeBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const fewest = Math.ceil(sizeBytes / codec.maxTokenBytes);
  if (fewest > limits.contextLength) throw tooLong(fewest, limits.contextLength, ' at least');
  if ('messages' in prompt && codec.encodeChat) return Array.from(codec.encodeChat(prompt.messages));
  return Array.from(codec.encode(texts.join('\n\n')));
}

function checkedIds(ids: readonly number[], limits: PromptLimits): number[] {
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= limits.vocabSize);
  if (wrong === undefined) return [...ids];
  throw badId('prompt', wrong, limits.vocabSize);
}

function badId(param: string, id: number, vocabSize: number): DabarexError {
  return new DabarexError(
    'request_invalid',
    `${param} has token id ${id}; this model's ids are 0 to ${vocabSize - 1}.`,
    { param, id },
  );
}

function tooLong(promptTokens: number, contextLength: number, detail: string): DabarexError {
  return new DabarexError(
    'context_length_exceeded',
    `The prompt has ${promptTokens} tokens${detail}; this model's context is ${contextLength} tokens, prompt and answer together. Shorten the prompt.`,
    { param: 'prompt', promptTokens, contextLength },
  );
}
