/** A request to generate text, and the events that answer it. Plain data: it crosses threads as it is. */
import type { ChatMessage } from './model.ts';

export type Prompt =
  | { readonly text: string }
  | { readonly ids: readonly number[] }
  | { readonly messages: readonly ChatMessage[] };

/** How the next token is drawn from the logits. Order: bias and penalties, temperature, minP, topK, topP. */
export interface SamplingParams {
  /** 0 takes the most likely token; default 1 */
  readonly temperature?: number;
  /** the smallest set of most likely tokens whose probabilities sum to at least this; default 1 (all) */
  readonly topP?: number;
  /** the k most likely tokens; 0 (default) is all */
  readonly topK?: number;
  /** tokens at least this fraction as likely as the most likely one; default 0 (all) */
  readonly minP?: number;
  /** added to the logit of a token id */
  readonly logitBias?: readonly (readonly [id: number, bias: number])[];
  /** subtracted once from the logit of each token generated before */
  readonly presencePenalty?: number;
  /** subtracted from the logit of a token for every time it was generated before */
  readonly frequencyPenalty?: number;
  /** with `choice` and the position it fixes every draw; default 0 */
  readonly seed?: number;
  /** 0, 1, ... for several continuations of one prompt under one seed */
  readonly choice?: number;
}

export interface GenerateRequest extends SamplingParams {
  readonly prompt: Prompt;
  /** tokens to generate at most; default and upper bound: what is left of the context */
  readonly maxTokens?: number;
  /** texts that end the generation; not part of the output */
  readonly stop?: readonly string[];
  /** go on after an end-of-text token; its text is left out */
  readonly ignoreEndOfText?: boolean;
  /** give each generated token's log-probability, with this many alternatives */
  readonly logprobs?: number;
  /** give the prompt's log-probabilities as well (needs `logprobs`) */
  readonly promptLogprobs?: boolean;
  /** give the prompt's text in `accepted` */
  readonly echo?: boolean;
}

export interface TokenChoice {
  readonly id: number;
  /** the token's text; `bytes:\xe2\x80` where it is not whole UTF-8 */
  readonly text: string;
  readonly bytes: readonly number[];
  /** natural logarithm of its probability under the model's own distribution, before bias, penalties and temperature */
  readonly logprob: number;
}

export interface TokenLogprob extends TokenChoice {
  /** the most likely tokens at this place, most likely first */
  readonly top: readonly TokenChoice[];
}

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export type FinishReason = 'stop' | 'length';

/** In this order: `accepted`, `prompt` if asked for, `delta` any number of times, `finished`. */
export type GenerateEvent =
  | { readonly type: 'accepted'; readonly promptTokens: number; readonly promptText?: string }
  /** one entry per prompt token; the first has nothing before it, hence null with the token's text beside it */
  | { readonly type: 'prompt'; readonly first: TokenChoice; readonly logprobs: readonly TokenLogprob[] }
  | { readonly type: 'delta'; readonly text: string; readonly logprobs?: readonly TokenLogprob[] }
  | { readonly type: 'finished'; readonly reason: FinishReason; readonly usage: Usage };

/** What a front needs to know of a running engine. */
export interface EngineInfo {
  readonly vocabSize: number;
  /** tokens of prompt and answer together */
  readonly contextLength: number;
  /** whether the tokenizer has a chat template; without one a conversation is continued as plain text */
  readonly hasChatTemplate: boolean;
  /** requests that can be running and waiting at once */
  readonly maxRequests: number;
}

/** An engine seen from outside: in this thread ({@link Engine}) or in a worker ({@link EngineClient}). */
export interface TextGenerator {
  readonly info: EngineInfo;
  /** false once it has failed or was closed; never true again */
  readonly alive: boolean;
  /**
   * Generates by `request`. Leaving the loop or aborting `signal` frees the request's place.
   * @throws context_length_exceeded, server_overloaded, request_invalid before the first event;
   *   engine_stopped, logits_not_finite at any time; `signal.reason` when aborted
   */
  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent>;
}
