/**
 * tokenizer.json from outside: everything is checked before it is used, and what this project does not do the same way
 * as Hugging Face tokenizers (normalizers, other patterns, stripping tokens) is refused, never silently ignored.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { DabarexError, writeFileAtomic } from '../base/index.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { alphabetToBytes, BYTES_IN_ID_ORDER } from './byte-alphabet.ts';
import { CharTokenizer, UNKNOWN } from './char-tokenizer.ts';
import { MAX_MERGES } from './merge-table.ts';
import { SPLIT_PATTERN_SOURCES, type SplitPattern } from './split.ts';
import { END_OF_TEXT, type Tokenizer } from './tokenizer.ts';
import { ANY_CHARACTER_SOURCE } from './tokenizer-json.ts';

/** cl100k_base leaves 16 ids unused and DBRX pads to a multiple of 128; more than this is a broken file. */
const MAX_UNUSED_IDS = 1024;
const END_OF_TEXT_NAMES = [END_OF_TEXT, '<|end_of_text|>', '</s>'];

const addedTokenSchema = z.object({
  id: z.int().nonnegative(),
  content: z.string().min(1),
  single_word: z.boolean().optional(),
  lstrip: z.boolean().optional(),
  rstrip: z.boolean().optional(),
});
const fileSchema = z.object({
  added_tokens: z.array(addedTokenSchema).default([]),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  model: z.looseObject({ type: z.string(), vocab: z.custom<object>(isPlainObject, 'must be an object') }),
});
const splitSchema = z.object({
  type: z.literal('Split'),
  pattern: z.object({ Regex: z.string() }),
  behavior: z.literal('Isolated'),
  invert: z.literal(false).default(false),
});
const byteLevelSchema = z.object({
  type: z.literal('ByteLevel'),
  add_prefix_space: z.literal(false),
  use_regex: z.boolean().default(true),
});
const sequenceSchema = z.object({
  type: z.literal('Sequence'),
  pretokenizers: z.array(z.unknown()).length(2),
});
const mergeSchema = z.union([z.string(), z.tuple([z.string(), z.string()])]);

type TokenizerFile = z.infer<typeof fileSchema>;

/**
 * The tokenizer a tokenizer.json describes.
 * @param where the name of the file, for messages
 * @throws tokenizer_invalid for a broken file; tokenizer_unsupported for one that asks for what is not implemented
 */
export function parseTokenizer(json: unknown, where = 'tokenizer.json'): Tokenizer {
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw invalid(where, `${issue.path.join('.') || 'top level'}: ${issue.message}`);
  }
  const file = parsed.data;
  if (file.normalizer !== null && file.normalizer !== undefined) throw unsupported(where, 'a normalizer');
  for (const token of file.added_tokens) {
    if (token.single_word || token.lstrip || token.rstrip) {
      throw unsupported(
        where,
        `added token ${JSON.stringify(token.content)} with single_word, lstrip or rstrip`,
      );
    }
  }
  const ids = readIds(file, where);
  if (file.model.type === 'BPE') return bpeFrom(file, ids, where);
  if (file.model.type === 'WordLevel') return charFrom(file, ids, where);
  throw unsupported(where, `model type ${JSON.stringify(file.model.type)}`);
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
    throw invalid(path, `not JSON (${(cause as Error).message})`);
  }
}

/** Text -> id of the vocabulary and the added tokens, each id once. */
function readIds(file: TokenizerFile, where: string): Map<string, number> {
  const ids = new Map<string, number>();
  for (const [text, id] of Object.entries(file.model.vocab)) {
    if (!Number.isInteger(id) || id < 0) throw invalid(where, `token ${JSON.stringify(text)} has id ${id}`);
    ids.set(text, id);
  }
  for (const { content, id } of file.added_tokens) {
    const known = ids.get(content);
    if (known !== undefined && known !== id) {
      throw invalid(where, `added token ${JSON.stringify(content)} has the ids ${known} and ${id}`);
    }
    ids.set(content, id);
  }
  let max = -1;
  for (const id of ids.values()) max = Math.max(max, id);
  if (max + 1 - ids.size > MAX_UNUSED_IDS) {
    throw invalid(where, `ids go up to ${max} but there are only ${ids.size} tokens`);
  }
  if (new Set(ids.values()).size !== ids.size) throw invalid(where, 'two tokens share an id');
  return ids;
}

function bpeFrom(file: TokenizerFile, ids: Map<string, number>, where: string): Tokenizer {
  const { model } = file;
  for (const key of ['byte_fallback', 'dropout', 'continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[key]) throw unsupported(where, `model.${key}`);
  }
  const specialTokens = new Map(file.added_tokens.map((token) => [token.content, token.id]));
  const tokens: (Uint8Array | undefined)[] = new Array(maxOf(ids.values()) + 1).fill(undefined);
  for (const [text, id] of ids) {
    const bytes = specialTokens.has(text) ? new TextEncoder().encode(text) : alphabetToBytes(text);
    if (!bytes?.length)
      throw invalid(where, `token ${id} ${JSON.stringify(text)} is not in the byte alphabet`);
    tokens[id] = bytes;
  }
  const specialIds = new Set(specialTokens.values());
  const single = new Set(
    tokens.flatMap((token, id) => (token?.length === 1 && !specialIds.has(id) ? token[0]! : [])),
  );
  const missing = BYTES_IN_ID_ORDER.find((byte) => !single.has(byte));
  if (missing !== undefined) throw invalid(where, `byte ${missing} has no token`);
  return new BpeTokenizer({
    pattern: patternOf(file.pre_tokenizer, where),
    tokens,
    merges: readMerges(model.merges, ids, specialTokens, where),
    specialTokens,
    endOfTextId: endOfText(specialTokens, where),
    ignoreMerges: model.ignore_merges === true,
  });
}

function readMerges(
  value: unknown,
  ids: Map<string, number>,
  specialTokens: ReadonlyMap<string, number>,
  where: string,
): Int32Array {
  const parsed = z
    .array(mergeSchema)
    .max(MAX_MERGES - 1)
    .safeParse(value);
  if (!parsed.success)
    throw invalid(where, 'model.merges is not a list of "left right" or ["left", "right"]');
  const merges = new Int32Array(parsed.data.length * 3);
  const seen = new Set<number>();
  parsed.data.forEach((merge, rank) => {
    const [left, right] = typeof merge === 'string' ? splitAtSpace(merge) : merge;
    const triple = [left, right, left + right].map((text) =>
      specialTokens.has(text) ? undefined : ids.get(text),
    );
    if (triple.includes(undefined)) {
      throw invalid(
        where,
        `merge ${rank} (${JSON.stringify(merge)}) refers to a token that is not in the vocabulary`,
      );
    }
    const pair = triple[0]! * 2 ** 26 + triple[1]!;
    if (seen.has(pair)) throw invalid(where, `merge ${rank} (${JSON.stringify(merge)}) stands twice`);
    seen.add(pair);
    merges.set(triple as number[], rank * 3);
  });
  return merges;
}

function charFrom(file: TokenizerFile, ids: Map<string, number>, where: string): Tokenizer {
  const split = splitSchema.safeParse(file.pre_tokenizer);
  if (!split.success || split.data.pattern.Regex !== ANY_CHARACTER_SOURCE) {
    throw unsupported(where, 'a WordLevel model that does not split into single characters');
  }
  const specialTokens = new Map(file.added_tokens.map((token) => [token.content, token.id]));
  if (file.model.unk_token !== UNKNOWN || !specialTokens.has(UNKNOWN) || !specialTokens.has(END_OF_TEXT)) {
    throw invalid(where, `a character-level tokenizer needs ${UNKNOWN} and ${END_OF_TEXT}`);
  }
  const characters: string[] = [];
  for (const [text, id] of ids) {
    if (specialTokens.has(text)) continue;
    if ([...text].length !== 1)
      throw invalid(where, `token ${id} ${JSON.stringify(text)} is not one character`);
    characters[id] = text;
  }
  if (characters.length !== ids.size - specialTokens.size || maxOf(ids.values()) + 1 !== ids.size) {
    throw invalid(where, 'the characters must have the ids from 0 and the special tokens those after them');
  }
  return new CharTokenizer(characters, specialTokens);
}

function patternOf(preTokenizer: unknown, where: string): SplitPattern {
  const alone = byteLevelSchema.safeParse(preTokenizer);
  if (alone.success && alone.data.use_regex) return 'gpt2';
  const sequence = sequenceSchema.safeParse(preTokenizer);
  const split = splitSchema.safeParse(sequence.data?.pretokenizers[0]);
  const byteLevel = byteLevelSchema.safeParse(sequence.data?.pretokenizers[1]);
  if (split.success && byteLevel.success && !byteLevel.data.use_regex) {
    const names = Object.keys(SPLIT_PATTERN_SOURCES) as SplitPattern[];
    const found = names.find((name) => SPLIT_PATTERN_SOURCES[name] === split.data.pattern.Regex);
    if (found) return found;
  }
  throw unsupported(
    where,
    'a pre_tokenizer other than ByteLevel, or Split by the pattern of GPT-2, GPT-4 or Qwen2 and ByteLevel',
  );
}

function endOfText(specialTokens: ReadonlyMap<string, number>, where: string): number {
  const name = END_OF_TEXT_NAMES.find((each) => specialTokens.has(each));
  if (!name) throw invalid(where, `no added token is one of ${END_OF_TEXT_NAMES.join(' ')}`);
  return specialTokens.get(name)!;
}

/** "left right": the byte alphabet has no space, so there is one. */
function splitAtSpace(merge: string): [string, string] {
  const at = merge.indexOf(' ', 1);
  return at < 0 ? [merge, ''] : [merge.slice(0, at), merge.slice(at + 1)];
}

function maxOf(values: Iterable<number>): number {
  let max = -1;
  for (const value of values) max = Math.max(max, value);
  return max;
}

function isPlainObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(where: string, problem: string): DabarexError {
  return new DabarexError(
    'tokenizer_invalid',
    `${where} is not a valid tokenizer: ${problem}. Take the file from its source again, or train the tokenizer again.`,
    { where },
  );
}

function unsupported(where: string, what: string): DabarexError {
  return new DabarexError(
    'tokenizer_unsupported',
    `${where} uses ${what}, which dabarex does not read. Use a byte-level BPE with the split pattern of GPT-2, GPT-4, Llama 3 or Qwen2.`,
    { where },
  );
}
