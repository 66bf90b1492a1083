/**
 * cl100k_base, the vocabulary of GPT-4 and DBRX, and r50k_base, that of GPT-2, from tiktoken's file of ranks (a line: base64 of the bytes, a space,
 * the rank). That file has no merges: the merge that makes token r is found by encoding its bytes with the merges before
 * it, which leaves exactly two parts.
 */
import { DabarexError } from '../base/index.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { MergeTable } from './merge-table.ts';
import type { SplitPattern } from './split.ts';
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
  return fromRanks(ranksText, 'cl100k', specialTokens);
}

/** As {@link cl100kBase}, for r50k_base, the vocabulary of GPT-2. */
export function r50kBase(ranksText: string): BpeTokenizer {
  return fromRanks(ranksText, 'gpt2', new Map([[END_OF_TEXT, 50256]]));
}

function fromRanks(
  ranksText: string,
  pattern: SplitPattern,
  specialTokens: ReadonlyMap<string, number>,
): BpeTokenizer {
  const tokens = parseRanks(ranksText);
  if (tokens.length > specialTokens.get(END_OF_TEXT)!) throw invalid(`${tokens.length} ranks are too many`);
  const merges = mergesOf(tokens);
  const all: (Uint8Array | undefined)[] = [...tokens];
  for (const [text, id] of specialTokens) all[id] = new TextEncoder().encode(text);
  return new BpeTokenizer({
    pattern,
    tokens: Array.from(all),
    merges,
    specialTokens,
    endOfTextId: specialTokens.get(END_OF_TEXT)!,
  });
}

/** The bytes of the token of each rank. */
function parseRanks(ranksText: string): Uint8Array[] {
  const tokens: Uint8Array[] = [];
  const seen = new Set<string>();
  for (const line of ranksText.split(/\r?\n/)) {
    if (line === '') continue;
    const [base64 = '', rank] = line.split(' ');
    const bytes = Buffer.from(base64, 'base64');
    const key = bytes.toString('latin1');
    if (bytes.length === 0 || Number(rank) !== tokens.length || seen.has(key)) {
      throw invalid(
        `line ${tokens.length + 1} ${JSON.stringify(line.slice(0, 80))} is not a new token and the next rank`,
      );
    }
    seen.add(key);
    tokens.push(Uint8Array.from(bytes));
  }
  for (let byte = 0; byte < 256; byte++) {
    if (!seen.has(String.fromCharCode(byte))) throw invalid(`byte ${byte} has no rank`);
  }
  return tokens;
}

/** The merge that makes each token: the two parts that are left of its bytes under the merges before it. */
function mergesOf(tokens: readonly Uint8Array[]): Int32Array {
  const idOfByte = new Int32Array(256);
  tokens.forEach((bytes, id) => {
    if (bytes.length === 1) idOfByte[bytes[0]!] = id;
  });
  const table = new MergeTable(tokens.length - 256);
  tokens.forEach((bytes, id) => {
    if (bytes.length === 1) return;
    const parts = Int32Array.from(bytes, (byte) => idOfByte[byte]!);
    if (table.apply(parts, 0, parts.length) !== 2) {
      throw invalid(`token ${id} cannot be made of two tokens of lower rank`);
    }
    table.add(parts[0]!, parts[1]!, id);
  });
  return table.merges;
}

function invalid(problem: string): DabarexError {
  return new DabarexError(
    'tokenizer_invalid',
    `The file of ranks is broken: ${problem}. Take the file from its source again.`,
  );
}
