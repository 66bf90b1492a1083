/**
 * What a request may say. Unknown keys are let through, as every client sends some; a key that would change the answer
 * and is not supported is refused, never dropped in silence.
 */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';

const MAX_CHOICES = 128;

/** `null` means the default, as in OpenAI's API. */
const optional = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined);

const text = z.string().refine((value) => !/\p{Surrogate}/u.test(value), 'must be whole Unicode');
const stopString = text.min(1).max(1000);
const integer = z.int();

const sampling = {
  model: z.string().optional(),
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().gt(0).max(1)),
  top_k: optional(integer.min(-1)),
  min_p: optional(z.number().min(0).max(1)),
  presence_penalty: optional(z.number().min(-2).max(2)),
  frequency_penalty: optional(z.number().min(-2).max(2)),
  logit_bias: optional(
    z.record(z.string().regex(/^\d{1,9}$/, 'must be a token id'), z.number().min(-100).max(100)),
  ),
  /** int64: past 2^53 JSON rounds it, which is still a seed */
  seed: optional(z.number().refine(Number.isInteger, 'must be a whole number')),
  n: optional(integer.min(1).max(MAX_CHOICES)),
  stop: optional(z.union([stopString, z.array(stopString).max(4)])),
  stream: optional(z.boolean()),
  stream_options: optional(z.looseObject({ include_usage: optional(z.boolean()) })),
  ignore_eos: optional(z.boolean()),
};

export const completionSchema = z.looseObject({
  ...sampling,
  prompt: z
    .union([
      text,
      z.array(text).min(1).max(2048),
      z.array(integer).min(1),
      z.array(z.array(integer).min(1)).min(1).max(2048),
    ])
    .nullish(),
  max_tokens: optional(integer.min(0)),
  logprobs: optional(integer.min(0).max(20)),
  echo: optional(z.boolean()),
  best_of: optional(integer.min(1).max(MAX_CHOICES)),
  suffix: optional(z.string()),
});

const contentPart = z.looseObject({ type: z.literal('text'), text });
const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  content: z.union([text, z.array(contentPart)]).nullish(),
});

export const chatSchema = z.looseObject({
  ...sampling,
  messages: z.array(message).min(1),
  max_tokens: optional(integer.min(1)),
  max_completion_tokens: optional(integer.min(1)),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(integer.min(0).max(20)),
  tools: optional(z.array(z.unknown())),
  functions: optional(z.array(z.unknown())),
  response_format: optional(z.looseObject({ type: z.string() })),
});

export type SamplingBody = Pick<z.infer<typeof completionSchema>, Exclude<keyof typeof sampling, never>>;
export type CompletionBody = z.infer<typeof completionSchema>;
export type ChatBody = z.infer<typeof chatSchema>;

/** @throws request_invalid naming the parameter */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('The request body must be a JSON object.', null);
  }
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const param = issue.path.map(String).join('.') || null;
  throw invalid(`${param ?? 'The body'}: ${issue.message}. Correct this parameter.`, param);
}

/** Fields of other servers that would change the answer, each with the value that changes nothing. */
const FOREIGN: readonly (readonly [param: string, neutral: unknown])[] = [
  ['repetition_penalty', 1],
  ['min_tokens', 0],
  ['use_beam_search', false],
  ['stop_token_ids', undefined],
  ['bad_words', undefined],
  ['allowed_token_ids', undefined],
  ['structured_outputs', undefined],
  ['guided_json', undefined],
  ['grammar', undefined],
];

/** @throws request_invalid for what this server would otherwise ignore */
export function refuseUnsupported(body: CompletionBody | ChatBody): void {
  for (const [param, neutral] of FOREIGN) {
    const value = body[param];
    const empty = Array.isArray(value) && value.length === 0;
    if (value !== undefined && value !== null && value !== neutral && !empty) throw unsupported(param);
  }
  const chat = body as Partial<ChatBody>;
  const completion = body as Partial<CompletionBody>;
  if (body.stream_options && !body.stream)
    throw invalid('stream_options needs stream: true.', 'stream_options');
  if (chat.tools?.length) throw unsupported('tools');
  if (chat.functions?.length) throw unsupported('functions');
  if (chat.response_format && chat.response_format.type !== 'text') throw unsupported('response_format');
  if (completion.suffix) throw unsupported('suffix');
  if ((completion.best_of ?? 1) > (body.n ?? 1)) throw unsupported('best_of');
  if (chat.top_logprobs !== undefined && chat.logprobs !== true) {
    throw invalid('top_logprobs needs logprobs: true.', 'top_logprobs');
  }
}

export function invalid(message: string, param: string | null): DabarexError {
  return new DabarexError('request_invalid', message, { param });
}

function unsupported(param: string): DabarexError {
  return invalid(`${param} is not supported by this server. Leave it out.`, param);
}
