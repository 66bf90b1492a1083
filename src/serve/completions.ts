/** POST /v1/completions: continue a text, as OpenAI's legacy completions (echo and log-probabilities included). */
import type { GenerateEvent, Prompt, TokenChoice, TokenLogprob, Usage } from '../infer/index.ts';
import { type Choice, type Choices, collect, samplingOf, startChoices, usageOf } from './choices.ts';
import type { Exchange } from './exchange.ts';
import { type CompletionBody, completionSchema, invalid, parseBody, refuseUnsupported } from './schemas.ts';
import { sendEvents } from './sse.ts';

const DEFAULT_MAX_TOKENS = 16;

export async function answerCompletion({ body: raw, engine, signal, reply, ...exchange }: Exchange) {
  const body = parseBody(completionSchema, raw);
  refuseUnsupported(body);
  const model = exchange.checkModel(body.model);
  const generator = engine();
  const n = body.n ?? 1;
  const choices = await startChoices(generator, promptsOf(body), n, requestOf(body, exchange.seed), signal);
  const head = { id: `cmpl-${exchange.id}`, object: 'text_completion', created: exchange.created, model };
  if (body.stream) return sendEvents(reply, chunksOf(head, choices, body), exchange.onStreamError);
  const result = await collect(choices);
  return {
    ...head,
    choices: result.choices.map((choice, index) => {
      const echoed = choices.accepted[index].promptText ?? '';
      return {
        index,
        text: echoed + choice.text,
        logprobs: body.logprobs === undefined ? null : logprobsOf(choice, body.logprobs),
        finish_reason: choice.reason,
      };
    }),
    usage: usageOf(result.usages, n),
  };
}

function requestOf(body: CompletionBody, seed: number) {
  return {
    ...samplingOf(body, seed),
    maxTokens: body.max_tokens ?? DEFAULT_MAX_TOKENS,
    logprobs: body.logprobs,
    promptLogprobs: body.echo === true && body.logprobs !== undefined,
    echo: body.echo,
  };
}

function promptsOf({ prompt }: CompletionBody): Prompt[] {
  if (prompt === undefined || prompt === null) throw invalid('prompt is missing.', 'prompt');
  if (typeof prompt === 'string') return [{ text: prompt }];
  if (typeof prompt[0] === 'number') return [{ ids: prompt as number[] }];
  return (prompt as (string | number[])[]).map((each) =>
    typeof each === 'string' ? { text: each } : { ids: each },
  );
}

/** Chunks have the shape of the whole answer; the first of an echoed prompt carries the prompt. */
async function* chunksOf(head: object, { accepted, events }: Choices, body: CompletionBody) {
  const usage = body.stream_options?.include_usage ? { usage: null } : {};
  const usages: Usage[] = [];
  const pending = accepted.map((each) => ({
    text: each.promptText ?? '',
    prompt: undefined as Choice['prompt'],
  }));
  const offsets = accepted.map(() => 0);
  const chunk = (index: number, text: string, event: Partial<GenerateEvent>, reason: string | null) => {
    const entries = 'logprobs' in event ? (event.logprobs as TokenLogprob[]) : [];
    const { prompt } = pending[index];
    pending[index] = { text: '', prompt: undefined };
    const logprobs =
      body.logprobs === undefined
        ? null
        : logprobsOf({ logprobs: entries, prompt }, body.logprobs, offsets[index]);
    if (logprobs)
      offsets[index] += [...(prompt ? [prompt.first, ...prompt.logprobs] : []), ...entries].reduce(
        (sum, each) => sum + each.text.length,
        0,
      );
    return { ...head, choices: [{ index, text, logprobs, finish_reason: reason }], ...usage };
  };
  for await (const [index, event] of events) {
    if (event.type === 'prompt') pending[index].prompt = event;
    if (event.type === 'delta') yield chunk(index, pending[index].text + event.text, event, null);
    if (event.type !== 'finished') continue;
    usages[index] = event.usage;
    yield chunk(index, pending[index].text, {}, event.reason);
  }
  if (body.stream_options?.include_usage) yield { ...head, choices: [], usage: usageOf(usages, body.n ?? 1) };
}

/** The legacy shape: parallel arrays. A token itself is always among its alternatives; the first of a prompt has none. */
function logprobsOf(choice: Pick<Choice, 'logprobs' | 'prompt'>, topCount: number, offset = 0) {
  const { prompt, logprobs } = choice;
  const scored: (TokenLogprob | TokenChoice)[] = prompt
    ? [prompt.first, ...prompt.logprobs, ...logprobs]
    : [...logprobs];
  const isFirst = (index: number) => prompt !== undefined && index === 0;
  let next = offset;
  return {
    tokens: scored.map((each) => each.text),
    token_logprobs: scored.map((each, i) => (isFirst(i) ? null : each.logprob)),
    top_logprobs:
      topCount === 0
        ? null
        : scored.map((each, i) => (isFirst(i) ? null : alternatives(each as TokenLogprob))),
    text_offset: scored.map((each) => {
      next += each.text.length;
      return next - each.text.length;
    }),
  };
}

function alternatives(token: TokenLogprob): Record<string, number> {
  return Object.fromEntries([...token.top, token].map((each) => [each.text, each.logprob]));
}
