/**
 * The tokenizer of a Hugging Face folder, put together from the files that say something of it: tokenizer.json, tokenizer_config.json,
 * special_tokens_map.json, generation_config.json and chat_template.jinja.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { parseTokenizer, readJson, type TokenHints } from './parse.ts';
import { tokenizerInvalid } from './parse-errors.ts';
import type { Tokenizer } from './tokenizer.ts';

const tokenText = z.union([
  z.string(),
  z.object({ content: z.string() }).transform((token) => token.content),
]);
const optionalText = tokenText.nullish().transform((text) => text ?? undefined);
const templatesSchema = z.union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))]);
const configSchema = z.object({
  tokenizer_class: z.string().nullish(),
  bos_token: optionalText,
  eos_token: optionalText,
  add_bos_token: z.boolean().nullish(),
  add_eos_token: z.boolean().nullish(),
  chat_template: templatesSchema.nullish(),
});
const mapSchema = z.object({ bos_token: optionalText, eos_token: optionalText });
const idsSchema = z.union([
  z
    .int()
    .nonnegative()
    .transform((id) => [id]),
  z.array(z.int().nonnegative()),
]);
const generationSchema = z.object({ eos_token_id: idsSchema.nullish() });
/** Classes that put tokens around a text as tokenizer_config.json says, whatever tokenizer.json has. */
const CLASSES_WITH_FLAGS = /^(Code)?Llama|^Gemma|^Cohere/;

/** A tokenizer, and what goes with it in conversations. */
export interface LoadedTokenizer {
  readonly tokenizer: Tokenizer;
  /** ids that end an answer */
  readonly stopIds: readonly number[];
  /** Jinja source */
  readonly chatTemplate?: string;
  /** texts that the template sees as `bos_token` and `eos_token` */
  readonly beginOfText?: string;
  readonly endOfText?: string;
}

/**
 * Loads the tokenizer of `dir`.
 * @throws file_missing without a tokenizer.json; tokenizer_invalid; tokenizer_unsupported
 */
export function loadTokenizerFolder(dir: string): LoadedTokenizer {
  const config = readOptional(join(dir, 'tokenizer_config.json'), configSchema);
  const map = readOptional(join(dir, 'special_tokens_map.json'), mapSchema);
  const generation = readOptional(join(dir, 'generation_config.json'), generationSchema);
  const beginOfText = config?.bos_token ?? map?.bos_token;
  const endOfText = config?.eos_token ?? map?.eos_token;
  const follows = CLASSES_WITH_FLAGS.test(config?.tokenizer_class ?? '');
  const hints: TokenHints = {
    ...(beginOfText === undefined ? {} : { beginOfText }),
    ...(endOfText === undefined ? {} : { endOfText }),
    ...(follows && typeof config?.add_bos_token === 'boolean' ? { addsBegin: config.add_bos_token } : {}),
    ...(follows && typeof config?.add_eos_token === 'boolean' ? { addsEnd: config.add_eos_token } : {}),
  };
  const path = join(dir, 'tokenizer.json');
  const tokenizer = parseTokenizer(readJson(path), path, hints);
  const chatTemplate = readTemplate(dir, config?.chat_template ?? undefined);
  const named = endOfText === undefined ? undefined : tokenizer.specialTokens.get(endOfText);
  return {
    tokenizer,
    stopIds: stopIdsOf(dir, tokenizer, generation?.eos_token_id ?? undefined, named),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
    ...(beginOfText === undefined ? {} : { beginOfText }),
    ...(endOfText === undefined ? {} : { endOfText }),
  };
}

function stopIdsOf(
  dir: string,
  tokenizer: Tokenizer,
  given: readonly number[] | undefined,
  endOfTextId: number | undefined,
): number[] {
  const outside = given?.find((id) => id >= tokenizer.vocabSize);
  if (outside !== undefined) {
    throw tokenizerInvalid(join(dir, 'generation_config.json'), `eos_token_id ${outside} is no token`);
  }
  const own = endOfTextId ?? tokenizer.endOfTextId;
  return [...new Set([...(given ?? []), own])];
}

/** The file of the template's own, or the one within tokenizer_config.json; of several the one named `default`. */
function readTemplate(dir: string, within: z.infer<typeof templatesSchema> | undefined): string | undefined {
  const path = join(dir, 'chat_template.jinja');
  if (existsSync(path)) return readFileSync(path, 'utf8');
  if (within === undefined || typeof within === 'string') return within;
  return (within.find((each) => each.name === 'default') ?? within[0])?.template;
}

/** A file that may be missing. @throws tokenizer_invalid where it is there and broken */
function readOptional<T>(path: string, schema: z.ZodType<T>): T | undefined {
  if (!existsSync(path)) return undefined;
  const parsed = schema.safeParse(readJson(path));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw tokenizerInvalid(path, `${issue.path.join('.') || 'top level'}: ${issue.message}`);
}
