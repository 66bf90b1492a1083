/** One HTTP request as several generations (prompts x n), their events side by side. */
import { assert } from '../base/index.ts';
import {
  EventQueue,
  type FinishReason,
  type GenerateEvent,
  type GenerateRequest,
  type Prompt,
  type TextGenerator,
  type TokenLogprob,
  type Usage,
} from '../infer/index.ts';
import { invalid, type SamplingBody } from './schemas.ts';

type Accepted = Extract<GenerateEvent, { type: 'accepted' }>;
type PromptScores = Extract<GenerateEvent, { type: 'prompt' }>;

/** Generations that have all been accepted: what can still go wrong is the engine's death. */
export interface Choices {
  readonly accepted: readonly Accepted[];
  /** events after `accepted`, each with the index of its choice */
  readonly events: AsyncIterable<readonly [index: number, event: GenerateEvent]>;
}

/** Sampling fields of a body in the engine's terms. @param seed where the body has none */
export function samplingOf(body: SamplingBody, seed: number): Omit<GenerateRequest, 'prompt'> {
  const { stop, logit_bias: bias, top_k: topK } = body;
  return {
    temperature: body.temperature,
    topP: body.top_p,
    topK: topK === undefined || topK < 0 ? 0 : topK,
    minP: body.min_p,
    presencePenalty: body.presence_penalty,
    frequencyPenalty: body.frequency_penalty,
    logitBias: bias && Object.entries(bias).map(([id, value]) => [Number(id), value] as const),
    seed: body.seed ?? seed,
    stop: typeof stop === 'string' ? [stop] : stop,
    ignoreEndOfText: body.ignore_eos,
  };
}

/**
 * Starts `n` generations of every prompt; choice `prompt * n + i` is the i-th of a prompt.
 * @throws as {@link TextGenerator.generate} when any of them is refused: then none of them runs
 */
export async function startChoices(
  engine: TextGenerator,
  prompts: readonly Prompt[],
  n: number,
  request: Omit<GenerateRequest, 'prompt'>,
  signal: AbortSignal,
): Promise<Choices> {
  const { maxRequests } = engine.info;
  if (prompts.length * n > maxRequests) {
    throw invalid(
      `${prompts.length} prompts with n ${n} are more than the ${maxRequests} this server holds. Send fewer at a time.`,
      n > 1 ? 'n' : 'prompt',
    );
  }
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  const iterators = prompts.flatMap((prompt) =>
    Array.from({ length: n }, (_, choice) =>
      engine.generate({ ...request, prompt, choice }, both)[Symbol.asyncIterator](),
    ),
  );
  try {
    const first = await Promise.all(iterators.map((iterator) => iterator.next()));
    return { accepted: first.map(({ value }) => value as Accepted), events: merge(iterators, failed) };
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}

/** @param failed aborted when one choice fails, so that the others end: nobody will read them */
function merge(
  iterators: readonly AsyncIterator<GenerateEvent>[],
  failed: AbortController,
): Choices['events'] {
  const queue = new EventQueue<readonly [number, GenerateEvent]>();
  let open = iterators.length;
  const pump = async (index: number) => {
    for (;;) {
      const { done, value } = await iterators[index].next();
      if (done) break;
      queue.push([index, value]);
    }
    if (--open === 0) queue.end();
  };
  const fail = (error: unknown) => {
    queue.fail(error);
    failed.abort(error);
  };
  iterators.forEach((_, index) => void pump(index).catch(fail));
  return queue;
}

/** A finished choice. */
export interface Choice {
  readonly text: string;
  readonly logprobs: readonly TokenLogprob[];
  readonly prompt: PromptScores | undefined;
  readonly reason: FinishReason;
}

/** Runs all choices to their end. */
export async function collect(choices: Choices): Promise<{ choices: Choice[]; usages: Usage[] }> {
  const texts = choices.accepted.map(() => '');
  const logprobs = choices.accepted.map((): TokenLogprob[] => []);
  const prompts: (PromptScores | undefined)[] = choices.accepted.map(() => undefined);
  const reasons: FinishReason[] = [];
  const usages: Usage[] = [];
  for await (const [index, event] of choices.events) {
    if (event.type === 'prompt') prompts[index] = event;
    if (event.type === 'delta') {
      texts[index] += event.text;
      logprobs[index].push(...(event.logprobs ?? []));
    }
    if (event.type === 'finished') {
      reasons[index] = event.reason;
      usages[index] = event.usage;
    }
  }
  const finished = texts.map((each, i) => {
    assert(reasons[i], 'every choice ends with a reason');
    return { text: each, logprobs: logprobs[i], prompt: prompts[i], reason: reasons[i] };
  });
  return { choices: finished, usages };
}

/** OpenAI's usage object; a prompt counts once however many choices it has. */
export function usageOf(usages: readonly Usage[], n: number) {
  const promptTokens = usages.reduce((sum, each, i) => sum + (i % n === 0 ? each.promptTokens : 0), 0);
  const completionTokens = usages.reduce((sum, each) => sum + each.completionTokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
