/**
 * tokenizer.json from outside: everything is checked before it is used, and what this project does not do the same way
 * as Hugging Face tokenizers is refused, never silently ignored.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { DabarexError, writeFileAtomic } from '../base/index.ts';
import type { AddedToken } from './added-tokens.ts';
import { CharTokenizer, UNKNOWN } from './char-tokenizer.ts';
import { tokenizerInvalid, tokenizerUnsupported } from './parse-errors.ts';
import { byteLevelFrom, type ModelFile, sentencePieceFrom } from './parse-model.ts';
import { readPostProcessor } from './post-processor.ts';
import { byteLevelPreTokenizer } from './pre-tokenizer.ts';
import { DialectError } from './regex-dialect.ts';
import type { SpanModel } from './span-tokenizer.ts';
import { readNormalizer } from './spm-spacing.ts';
import { END_OF_TEXT, type Tokenizer } from './tokenizer.ts';
import { ANY_CHARACTER_SOURCE } from './tokenizer-json.ts';

/** cl100k_base leaves 16 ids unused and DBRX pads to a multiple of 128; more than this is a broken file. */
const MAX_UNUSED_IDS = 1024;
const END_OF_TEXT_NAMES = [
  END_OF_TEXT,
  '<|end_of_text|>',
  '</s>',
  '<eos>',
  '<|end▁of▁sentence|>',
  '<|im_end|>',
];
const BEGIN_OF_TEXT_NAMES = [
  '<|begin_of_text|>',
  '<s>',
  '<bos>',
  '<|startoftext|>',
  '<｜begin▁of▁sentence｜>',
];

const addedTokenSchema = z.object({
  id: z.int().nonnegative(),
  content: z.string().min(1),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
  special: z.boolean().default(true),
});
const fileSchema = z.object({
  added_tokens: z.array(addedTokenSchema).default([]),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  post_processor: z.unknown(),
  decoder: z.unknown(),
  model: z.looseObject({
    type: z.string().default('BPE'),
    vocab: z.custom<object>(isPlainObject, 'must be an object'),
  }),
});
const characterSplitSchema = z.object({
  type: z.literal('Split'),
  pattern: z.object({ Regex: z.literal(ANY_CHARACTER_SOURCE) }),
  behavior: z.literal('Isolated'),
});

type TokenizerFile = z.infer<typeof fileSchema>;

/** What files beside a tokenizer.json say of its tokens. */
export interface TokenHints {
  /** text of the token that ends a text, where the usual names do not tell */
  readonly endOfText?: string;
  readonly beginOfText?: string;
  /** the token that begins a text stands before each, whatever tokenizer.json says */
  readonly addsBegin?: boolean;
  readonly addsEnd?: boolean;
}

/**
 * The tokenizer a tokenizer.json describes.
 * @param where the name of the file, for messages
 * @throws tokenizer_invalid for a broken file; tokenizer_unsupported for one that asks for what is not implemented
 */
export function parseTokenizer(json: unknown, where = 'tokenizer.json', hints: TokenHints = {}): Tokenizer {
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw tokenizerInvalid(where, `${issue.path.join('.') || 'top level'}: ${issue.message}`);
  }
  const file = parsed.data;
  const ids = readIds(file, where);
  if (file.model.type === 'WordLevel') return charFrom(file, ids, where);
  if (file.model.type !== 'BPE')
    throw tokenizerUnsupported(where, `model type ${JSON.stringify(file.model.type)}`);
  const span = spanOf(file, ids, hints, where);
  const parts: ModelFile = { ...file, ids, span, where };
  try {
    const preTokenizer = byteLevelPreTokenizer(file.pre_tokenizer);
    if (!preTokenizer) return sentencePieceFrom(parts);
    const normalizer = readNormalizer(file.normalizer, where);
    return byteLevelFrom({ ...parts, span: { ...span, normalizer } }, preTokenizer);
  } catch (cause) {
    if (cause instanceof DialectError) throw tokenizerUnsupported(where, cause.message);
    throw cause;
  }
}

/**
 * Reads a tokenizer.json.
 * @throws file_missing; tokenizer_invalid; tokenizer_unsupported
 */
export function loadTokenizer(path: string): Tokenizer {
  return parseTokenizer(readJson(path), path);
}

/** Writes `tokenizer` to `path` as tokenizer.json, whole or not at all. */
export function saveTokenizer(path: string, tokenizer: Tokenizer): void {
  writeFileAtomic(path, `${JSON.stringify(tokenizer)}\n`);
}

/** @throws file_missing; tokenizer_invalid where the file is not JSON */
export function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new DabarexError('file_missing', `${path} cannot be read. Check the path.`, { path }, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw tokenizerInvalid(path, `not JSON (${(cause as Error).message})`);
  }
}

function spanOf(
  file: TokenizerFile,
  ids: ReadonlyMap<string, number>,
  hints: TokenHints,
  where: string,
): SpanModel {
  const addedTokens = file.added_tokens.map(
    (token): AddedToken => ({
      id: token.id,
      content: token.content,
      special: token.special,
      normalized: token.normalized ?? !token.special,
      lstrip: token.lstrip,
      rstrip: token.rstrip,
      singleWord: token.single_word,
    }),
  );
  const ends = readPostProcessor(file.post_processor);
  if (!ends) throw tokenizerUnsupported(where, 'a post_processor other than a template');
  const outside = [...ends.prefixIds, ...ends.suffixIds].find((id) => ![...ids.values()].includes(id));
  if (outside !== undefined)
    throw tokenizerInvalid(where, `post_processor puts token ${outside}, which there is not`);
  const special = addedTokens.filter((token) => token.special);
  const endOfTextId = idOfName(special, [
    ...END_OF_TEXT_NAMES.slice(0, 1),
    hints.endOfText,
    ...END_OF_TEXT_NAMES,
  ]);
  if (endOfTextId === undefined) {
    throw tokenizerInvalid(where, `no special token is one of ${END_OF_TEXT_NAMES.join(' ')}`);
  }
  const beginOfTextId = ends.prefixIds[0] ?? idOfName(special, [hints.beginOfText, ...BEGIN_OF_TEXT_NAMES]);
  const chosen = (flag: boolean | undefined, id: number | undefined, given: readonly number[]) =>
    flag === undefined ? given : flag && id !== undefined ? [id] : [];
  return {
    addedTokens,
    endOfTextId,
    ...(beginOfTextId === undefined ? {} : { beginOfTextId }),
    prefixIds: chosen(hints.addsBegin, beginOfTextId, ends.prefixIds),
    suffixIds: chosen(hints.addsEnd, endOfTextId, ends.suffixIds),
  };
}

function idOfName(tokens: readonly AddedToken[], names: readonly (string | undefined)[]): number | undefined {
  for (const name of names) {
    const found = tokens.find((token) => token.content === name);
    if (found) return found.id;
  }
  return undefined;
}

/** Text -> id of the vocabulary and the added tokens, each id once. */
function readIds(file: TokenizerFile, where: string): Map<string, number> {
  const ids = new Map<string, number>();
  for (const [text, id] of Object.entries(file.model.vocab)) {
    if (!Number.isInteger(id) || id < 0)
      throw tokenizerInvalid(where, `token ${JSON.stringify(text)} has id ${id}`);
    ids.set(text, id);
  }
  for (const { content, id } of file.added_tokens) {
    const known = ids.get(content);
    if (known !== undefined && known !== id) {
      throw tokenizerInvalid(where, `added token ${JSON.stringify(content)} has the ids ${known} and ${id}`);
    }
    ids.set(content, id);
  }
  let max = -1;
  for (const id of ids.values()) max = Math.max(max, id);
  if (max + 1 - ids.size > MAX_UNUSED_IDS) {
    throw tokenizerInvalid(where, `ids go up to ${max} but there are only ${ids.size} tokens`);
  }
  if (new Set(ids.values()).size !== ids.size) throw tokenizerInvalid(where, 'two tokens share an id');
  return ids;
}

function charFrom(file: TokenizerFile, ids: Map<string, number>, where: string): Tokenizer {
  if (!characterSplitSchema.safeParse(file.pre_tokenizer).success) {
    throw tokenizerUnsupported(where, 'a WordLevel model that does not split into single characters');
  }
  if (file.normalizer) throw tokenizerUnsupported(where, 'a WordLevel model with a normalizer');
  const specialTokens = new Map(file.added_tokens.map((token) => [token.content, token.id]));
  if (file.model.unk_token !== UNKNOWN || !specialTokens.has(UNKNOWN) || !specialTokens.has(END_OF_TEXT)) {
    throw tokenizerInvalid(where, `a character-level tokenizer needs ${UNKNOWN} and ${END_OF_TEXT}`);
  }
  const characters: string[] = [];
  let max = -1;
  for (const [text, id] of ids) {
    max = Math.max(max, id);
    if (specialTokens.has(text)) continue;
    if ([...text].length !== 1) {
      throw tokenizerInvalid(where, `token ${id} ${JSON.stringify(text)} is not one character`);
    }
    characters[id] = text;
  }
  if (characters.length !== ids.size - specialTokens.size || max + 1 !== ids.size) {
    throw tokenizerInvalid(
      where,
      'the characters must have the ids from 0 and the special tokens those after them',
    );
  }
  return new CharTokenizer(characters, specialTokens);
}

function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
