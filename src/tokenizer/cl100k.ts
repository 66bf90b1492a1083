/**
 * cl100k_base, the vocabulary of GPT-4 and DBRX, and r50k_base, that of GPT-2, from tiktoken's file of ranks (a line: base64 of the bytes, a space,
 * the rank). That file has no merges: the merge that makes token r is found by encoding its bytes with the ranks below
 * r, which leaves exactly two parts.
 */
import { DabarexError } from '../base/index.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
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
  const { tokens, ranks } = parseRanks(ranksText);
  if (tokens.length > specialTokens.get(END_OF_TEXT)!) throw invalid(`${tokens.length} ranks are too many`);
  const merges: number[] = [];
  tokens.forEach((bytes, id) => {
    if (bytes.length > 1) merges.push(...partsBelow(bytes, id, ranks), id);
  });
  const all: (Uint8Array | undefined)[] = [...tokens];
  for (const [text, id] of specialTokens) all[id] = new TextEncoder().encode(text);
  return new BpeTokenizer({
    pattern,
    tokens: Array.from(all),
    merges: Int32Array.from(merges),
    specialTokens,
    endOfTextId: specialTokens.get(END_OF_TEXT)!,
  });
}

function parseRanks(ranksText: string): { tokens: Uint8Array[]; ranks: Map<string, number> } {
  const tokens: Uint8Array[] = [];
  const ranks = new Map<string, number>();
  for (const line of ranksText.split(/\r?\n/)) {
    if (line === '') continue;
    const [base64 = '', rank] = line.split(' ');
    const bytes = Buffer.from(base64, 'base64');
    const key = bytes.toString('latin1');
    if (bytes.length === 0 || Number(rank) !== tokens.length || ranks.has(key)) {
      throw invalid(
        `line ${tokens.length + 1} ${JSON.stringify(line.slice(0, 80))} is not a new token and the next rank`,
      );
    }
    ranks.set(key, tokens.length);
    tokens.push(Uint8Array.from(bytes));
  }
  for (let byte = 0; byte < 256; byte++) {
    if (!ranks.has(String.fromCharCode(byte))) throw invalid(`byte ${byte} has no rank`);
  }
  return { tokens, ranks };
}

/** The ids of the two parts that `bytes`, token `limit`, consists of under the ranks below `limit`. */
function partsBelow(bytes: Uint8Array, limit: number, ranks: ReadonlyMap<string, number>): [number, number] {
  const parts = Array.from(bytes, (byte) => String.fromCharCode(byte));
  while (parts.length > 2) {
    let best = limit;
    let at = -1;
    for (let i = 0; i + 1 < parts.length; i++) {
      const rank = ranks.get(parts[i]! + parts[i + 1]!) ?? limit;
      if (rank < best) {
        best = rank;
        at = i;
      }
    }
    if (at < 0) throw invalid(`token ${limit} cannot be made of two tokens of lower rank`);
    parts.splice(at, 2, parts[at]! + parts[at + 1]!);
  }
  return [ranks.get(parts[0]!)!, ranks.get(parts[1]!)!];
}

function invalid(problem: string): DabarexError {
  return new DabarexError(
    'tokenizer_invalid',
    `The file of ranks is broken: ${problem}. Take the file from its source again.`,
  );
}
