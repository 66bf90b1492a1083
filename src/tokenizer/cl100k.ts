/**
 * cl100k_base, the vocabulary of GPT-4 and DBRX, r50k_base, that of GPT-2, and o200k_base, that of GPT-4o, from tiktoken's files of ranks.
 */
import type { BpeTokenizer } from './bpe-tokenizer.ts';
import { O200K_PATTERN } from './gguf-patterns.ts';
import { tokenizerFromRanks } from './ranks.ts';
import { END_OF_TEXT, IM_END, IM_START, PAD } from './tokenizer.ts';

/** tiktoken's special tokens. */
export const CL100K_SPECIAL_TOKENS: ReadonlyMap<string, number> = new Map([
  [END_OF_TEXT, 100257],
  ['<|fim_prefix|>', 100258],
  ['<|fim_middle|>', 100259],
  ['<|fim_suffix|>', 100260],
  ['<|endofprompt|>', 100276],
]);

/** DBRX's: tiktoken's and three of its own. */
export const DBRX_SPECIAL_TOKENS: ReadonlyMap<string, number> = new Map([
  ...CL100K_SPECIAL_TOKENS,
  [PAD, 100277],
  [IM_START, 100278],
  [IM_END, 100279],
]);

/**
 * The tokenizer of the ranks in `ranksText`, the text of cl100k_base.tiktoken.
 * @param specialTokens {@link CL100K_SPECIAL_TOKENS} (default) or {@link DBRX_SPECIAL_TOKENS}
 * @throws tokenizer_invalid
 */
export function cl100kBase(
  ranksText: string,
  specialTokens: ReadonlyMap<string, number> = CL100K_SPECIAL_TOKENS,
): BpeTokenizer {
  return tokenizerFromRanks(ranksText, { pattern: 'cl100k', specialTokens });
}

/** As {@link cl100kBase}, for r50k_base, the vocabulary of GPT-2. */
export function r50kBase(ranksText: string): BpeTokenizer {
  return tokenizerFromRanks(ranksText, { pattern: 'gpt2', specialTokens: new Map([[END_OF_TEXT, 50256]]) });
}

/** As {@link cl100kBase}, for o200k_base, the vocabulary of GPT-4o. */
export function o200kBase(ranksText: string): BpeTokenizer {
  const specialTokens = new Map([
    [END_OF_TEXT, 199999],
    ['<|endofprompt|>', 200018],
  ]);
  return tokenizerFromRanks(ranksText, { pattern: O200K_PATTERN, specialTokens });
}
