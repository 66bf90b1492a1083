/**
 * POST /v1/chat/completions. A conversation goes through the tokenizer's chat template; a base model, which was never
 * taught to answer, only continues it.
 */
import type { ChatMessage, TokenChoice, TokenLogprob, Usage } from '../infer/index.ts';
import { type Choices, collect, samplingOf, startChoices, usageOf } from './choices.ts';
import type { Exchange } from './exchange.ts';
import { type ChatBody, chatSchema, parseBody, refuseUnsupported } from './schemas.ts';
import { sendEvents } from './sse.ts';

export async function answerChat({ body: raw, engine, signal, reply, ...exchange }: Exchange) {
  const body = parseBody(chatSchema, raw);
  refuseUnsupported(body);
  const model = exchange.checkModel(body.model);
  const generator = engine();
  const n = body.n ?? 1;
  const prompt = { messages: body.messages.map(messageOf) };
  const request = {
    ...samplingOf(body, exchange.seed),
    maxTokens: body.max_completion_tokens ?? body.max_tokens,
    logprobs: body.logprobs ? (body.top_logprobs ?? 0) : undefined,
  };
  const choices = await startChoices(generator, [prompt], n, request, signal);
  const head = { id: `chatcmpl-${exchange.id}`, created: exchange.created, model };
  if (body.stream) return sendEvents(reply, chunksOf(head, choices, body), exchange.onStreamError);
  const result = await collect(choices);
  return {
    ...head,
    object: 'chat.completion',
    choices: result.choices.map((choice, index) => ({
      index,
      message: { role: 'assistant', content: choice.text, refusal: null },
      logprobs: body.logprobs ? logprobsOf(choice.logprobs) : null,
      finish_reason: choice.reason,
    })),
    usage: usageOf(result.usages, n),
  };
}

/** What OpenAI calls otherwise today, or called otherwise once. */
const ROLES: Readonly<Record<string, string>> = { developer: 'system', function: 'tool' };

function messageOf(message: ChatBody['messages'][number]): ChatMessage {
  const { role, content } = message;
  const text = typeof content === 'string' ? content : (content ?? []).map((part) => part.text).join('');
  return { role: ROLES[role] ?? role, content: text };
}

/** The role first, together with the first text so that it tells the true time to first token; then text; then the reason. */
async function* chunksOf(head: object, { accepted, events }: Choices, body: ChatBody) {
  const usage = body.stream_options?.include_usage ? { usage: null } : {};
  const usages: Usage[] = [];
  const opened = accepted.map(() => false);
  const chunk = (index: number, delta: object, reason: string | null, entries?: readonly TokenLogprob[]) => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [
      {
        index,
        delta,
        logprobs: entries && body.logprobs ? logprobsOf(entries) : null,
        finish_reason: reason,
      },
    ],
    ...usage,
  });
  for await (const [index, event] of events) {
    if (!opened[index]) yield chunk(index, { role: 'assistant', content: '', refusal: null }, null);
    opened[index] = true;
    if (event.type === 'delta') yield chunk(index, { content: event.text }, null, event.logprobs);
    if (event.type !== 'finished') continue;
    usages[index] = event.usage;
    yield chunk(index, {}, event.reason);
  }
  if (body.stream_options?.include_usage) {
    yield { ...head, object: 'chat.completion.chunk', choices: [], usage: usageOf(usages, body.n ?? 1) };
  }
}

function logprobsOf(entries: readonly TokenLogprob[]) {
  const plain = ({ text, logprob, bytes }: TokenChoice) => ({ token: text, logprob, bytes });
  return {
    content: entries.map((each) => ({ ...plain(each), top_logprobs: each.top.map(plain) })),
    refusal: null,
  };
}
