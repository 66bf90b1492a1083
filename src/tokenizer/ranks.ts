/**
 * tiktoken's files of ranks (a line: base64 of the bytes, a space, the rank), the form of GPT's, Llama 3's and other vocabularies.
 * Such a file has no merges: the merge that makes token r is found by encoding its bytes with the merges before it, which leaves
 * exactly two parts. Where it does not (some tokens cannot be reached so), all pairs that make a token are its merges, of one rank, and a
 * piece that is a token is that token: what tiktoken does, which merges by the rank of the text.
 */
import { DabarexError } from '../base/index.ts';
import { plainSpecialTokens } from './added-tokens.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { MAX_MERGES, MergeTable } from './merge-table.ts';
import { tokenizerUnsupported } from './parse-errors.ts';
import { knownPattern } from './pre-tokenizer.ts';
import { DialectError, translateRegex } from './regex-dialect.ts';
import { SPLIT_PATTERN_SOURCES, type SplitPattern } from './split.ts';
import { mergesOfScores } from './spm-merger.ts';
import { END_OF_TEXT } from './tokenizer.ts';

export interface RanksOptions {
  /** `cl100k`, `gpt2` or `qwen2`, or a regular expression as tiktoken has it */
  readonly pattern: SplitPattern | (string & {});
  /** text -> id; ids may lie within the gaps of the ranks */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** text of the special token that ends a text; default `<|endoftext|>` or the first one */
  readonly endOfText?: string;
  /** text of the special token that begins every text; default none */
  readonly beginOfText?: string;
}

type Merges = Pick<BpeTokenizer['model'], 'merges' | 'ranks' | 'ignoreMerges'>;

const MAX_TOKENS = 1 << 21;
/** GPT-4's pattern as tiktoken writes it today: the same pieces. In Hugging Face's dialect it means something else. */
const CL100K_OF_TIKTOKEN =
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s";

/**
 * The tokenizer of the ranks in `ranksText`, the text of a `.tiktoken` file.
 * @throws tokenizer_invalid; tokenizer_unsupported for a pattern that cannot be run
 */
export function tokenizerFromRanks(ranksText: string, options: RanksOptions): BpeTokenizer {
  const ranks = parseRanks(ranksText);
  const { specialTokens } = options;
  const tokens = [...ranks];
  for (const [text, id] of specialTokens) {
    if (!Number.isInteger(id) || id < 0 || id >= MAX_TOKENS)
      throw invalid(`special token ${text} has id ${id}`);
    if (tokens[id]) throw invalid(`special token ${text} has id ${id}, which a rank has`);
    tokens[id] = new TextEncoder().encode(text);
  }
  const endOfText =
    options.endOfText ?? (specialTokens.has(END_OF_TEXT) ? END_OF_TEXT : [...specialTokens.keys()][0]);
  const endOfTextId = specialTokens.get(endOfText ?? '');
  if (endOfTextId === undefined) throw invalid(`no special token is ${endOfText ?? END_OF_TEXT}`);
  const begin = options.beginOfText === undefined ? undefined : specialTokens.get(options.beginOfText);
  if (options.beginOfText !== undefined && begin === undefined)
    throw invalid(`no special token is ${options.beginOfText}`);
  return new BpeTokenizer({
    pattern: patternOf(options.pattern),
    tokens: Array.from(tokens),
    ...mergesOf(ranks),
    addedTokens: plainSpecialTokens(specialTokens),
    endOfTextId,
    ...(begin === undefined ? {} : { beginOfTextId: begin, prefixIds: [begin] }),
  });
}

function patternOf(pattern: string): BpeTokenizer['model']['pattern'] {
  if (Object.hasOwn(SPLIT_PATTERN_SOURCES, pattern)) return pattern as SplitPattern;
  const known = pattern === CL100K_OF_TIKTOKEN ? 'cl100k' : knownPattern(pattern);
  if (known) return known;
  try {
    translateRegex(pattern, 'rust');
  } catch (cause) {
    if (cause instanceof DialectError) throw tokenizerUnsupported('The pattern', cause.message);
    throw cause;
  }
  return [{ regex: pattern, behavior: 'Isolated' }];
}

/** The bytes of the token of each rank. */
function parseRanks(ranksText: string): (Uint8Array | undefined)[] {
  const tokens: (Uint8Array | undefined)[] = [];
  const seen = new Set<string>();
  let line = 0;
  for (const each of ranksText.split(/\r?\n/)) {
    line++;
    if (each === '') continue;
    const [, base64 = '', digits = ''] = /^([A-Za-z0-9+/]+=*) (\d{1,7})$/.exec(each) ?? [];
    const bytes = Buffer.from(base64, 'base64');
    const key = bytes.toString('latin1');
    const rank = Number(digits);
    if (bytes.length === 0 || rank < tokens.length || rank > tokens.length + 1024 || seen.has(key)) {
      throw invalid(`line ${line} ${JSON.stringify(each.slice(0, 80))} is not a new token and the next rank`);
    }
    seen.add(key);
    tokens[rank] = Uint8Array.from(bytes);
  }
  for (let byte = 0; byte < 256; byte++) {
    if (!seen.has(String.fromCharCode(byte))) throw invalid(`byte ${byte} has no rank`);
  }
  return Array.from(tokens);
}

/** The merge that makes each token: the two parts that are left of its bytes under the merges before it. */
function mergesOf(tokens: readonly (Uint8Array | undefined)[]): Merges {
  const idOfByte = new Int32Array(256);
  tokens.forEach((bytes, id) => {
    if (bytes?.length === 1) idOfByte[bytes[0]!] = id;
  });
  const table = new MergeTable(tokens.length);
  for (const [id, bytes] of tokens.entries()) {
    if (!bytes || bytes.length === 1) continue;
    const parts = Int32Array.from(bytes, (byte) => idOfByte[byte]!);
    if (table.apply(parts, 0, parts.length) !== 2) return allMergesOf(tokens);
    table.add(parts[0]!, parts[1]!, id);
  }
  return { merges: table.merges };
}

/** All pairs of tokens whose bytes are a token, by its rank. */
function allMergesOf(tokens: readonly (Uint8Array | undefined)[]): Merges {
  const texts = tokens.map((bytes) => (bytes ? Buffer.from(bytes).toString('latin1') : undefined));
  const { merges, ranks } = mergesOfScores(
    texts,
    tokens.map((_, id) => -id),
  );
  if (merges.length / 3 >= MAX_MERGES) throw invalid(`${merges.length / 3} pairs of tokens are too many`);
  return { merges, ranks: ranks!, ignoreMerges: true };
}

function invalid(problem: string): DabarexError {
  return new DabarexError(
    'tokenizer_invalid',
    `The file of ranks is broken: ${problem}. Take the file from its source again.`,
  );
}
