/** One request while it runs: its tokens, how many of them the cache holds, and the events it gives. */

import { DabarexError } from '../base/index.ts';
import { TextStream } from '../tokenizer/index.ts';
import { tokenChoice, tokenLogprob } from './logprobs.ts';
import type { TextCodec } from './model.ts';
import type { FinishReason, GenerateEvent, GenerateRequest, TokenLogprob } from './request.ts';
import type { Sampler } from './sampler.ts';

/** Where a sequence's events go; `fail` is the last call. */
export interface EventSink {
  event(event: GenerateEvent): void;
  fail(error: unknown): void;
}

export class Sequence {
  /** the prompt, then what was generated */
  readonly tokens: number[];
  readonly promptLength: number;
  /** tokens whose keys and values the cache holds */
  computed = 0;
  slot = -1;
  finished = false;

  readonly request: GenerateRequest;
  readonly sink: EventSink;
  private readonly codec: TextCodec;
  private readonly maxTokens: number;
  private readonly text: TextStream;
  private readonly counts = new Map<number, number>();
  private readonly promptEntries: TokenLogprob[] = [];

  /** @param maxTokens to generate at most, the rest of the context considered */
  constructor(
    request: GenerateRequest,
    promptIds: readonly number[],
    maxTokens: number,
    codec: TextCodec,
    sink: EventSink,
  ) {
    this.request = request;
    this.tokens = [...promptIds];
    this.promptLength = promptIds.length;
    this.maxTokens = maxTokens;
    this.codec = codec;
    this.sink = sink;
    this.text = new TextStream(request.stop);
  }

  /** Rows still to run before the next token can be drawn; 1 while decoding. */
  get pending(): number {
    return this.tokens.length - this.computed;
  }

  get wantsPromptLogprobs(): boolean {
    return this.request.promptLogprobs === true && this.computed < this.promptLength;
  }

  /** Takes the logits of prompt row `position`, in order, for the log-probability of the token after it. */
  scorePrompt(position: number, logits: Float32Array): void {
    const next = this.tokens[position + 1];
    this.promptEntries.push(tokenLogprob(this.codec, logits, next, this.request.logprobs ?? 0));
  }

  /**
   * Draws the next token from the logits of the last row, and sends what can be sent.
   * @throws logits_not_finite
   */
  advance(logits: Float32Array, sampler: Sampler): void {
    const position = this.tokens.length;
    if (position === this.promptLength) this.sendPrompt();
    if (this.maxTokens === 0) {
      this.sendFinished('length');
      return;
    }
    const id = sampler.sample(logits, this.request, position, this.counts);
    if (!Number.isFinite(logits[id])) throw notFinite(position);
    const count = this.request.logprobs;
    const entries = count === undefined ? [] : [tokenLogprob(this.codec, logits, id, count)];
    this.accept(id, entries);
  }

  private accept(id: number, entries: TokenLogprob[]): void {
    this.tokens.push(id);
    this.counts.set(id, (this.counts.get(id) ?? 0) + 1);
    const ended = this.codec.stopIds.includes(id) && !this.request.ignoreEndOfText;
    const full = this.tokens.length - this.promptLength >= this.maxTokens;
    const bytes = this.codec.isSpecial(id) ? new Uint8Array(0) : this.codec.tokenBytes(id);
    let { text, stopped } = this.text.push(bytes);
    if (!stopped && (ended || full)) {
      const rest = this.text.end();
      text += rest.text;
      stopped = rest.stopped;
    }
    this.sendDelta(text, entries);
    if (stopped || ended) this.sendFinished('stop');
    else if (full) this.sendFinished('length');
  }

  private sendPrompt(): void {
    if (!this.request.promptLogprobs) return;
    const first = tokenChoice(this.codec, this.tokens[0], 0);
    this.sink.event({ type: 'prompt', first, logprobs: this.promptEntries });
  }

  private sendDelta(text: string, entries: TokenLogprob[]): void {
    if (text === '' && entries.length === 0) return;
    const logprobs = this.request.logprobs === undefined ? {} : { logprobs: entries };
    this.sink.event({ type: 'delta', text, ...logprobs });
  }

  private sendFinished(reason: FinishReason): void {
    this.finished = true;
    const completionTokens = this.tokens.length - this.promptLength;
    const usage = { promptTokens: this.promptLength, completionTokens };
    this.sink.event({ type: 'finished', reason, usage });
  }
}

function notFinite(position: number): DabarexError {
  return new DabarexError(
    'logits_not_finite',
    `The model gave no finite logit for token ${position}: its weights hold NaN or infinity, most often from a ` +
      'training that diverged. Serve an earlier checkpoint.',
    { position },
  );
}
