/**
 * Names of pre-tokenizers in GGUF files (`tokenizer.ggml.pre`), and what llama.cpp does for each: the rules of splitting, and whether a
 * piece that is a token wins over merges. For `gpt-4o` and `tekken` the pattern of the models themselves stands here, of which
 * llama.cpp's is an approximation (it tells upper case from lower by ASCII).
 * Source: llama.cpp, llama-vocab.cpp.
 */
import type { BpeModel } from './bpe-tokenizer.ts';
import type { SplitRule } from './regex-splitter.ts';
import { SPLIT_PATTERN_SOURCES, type SplitPattern } from './split.ts';

const WORD = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+';
const CAPITALS = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*';
const BEFORE = '[^\\r\\n\\p{L}\\p{N}]?';
const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
const SYMBOLS_AND_SPACES = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

/** GPT-4o's. */
export const O200K_PATTERN = `${BEFORE}${WORD}${CONTRACTION}|${BEFORE}${CAPITALS}${CONTRACTION}|\\p{N}{1,3}|${SYMBOLS_AND_SPACES}`;
const TEKKEN = `${BEFORE}${WORD}|${BEFORE}${CAPITALS}|\\p{N}|${SYMBOLS_AND_SPACES}`;
const ASCII_PUNCTUATION = '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]';
const DEEPSEEK = `${ASCII_PUNCTUATION}[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const BLOOM = ' ?[^(\\s|.,!?…。，、।۔،)]+';

const rules = (...regexes: string[]): SplitRule[] =>
  regexes.map((regex) => ({ regex, behavior: 'Isolated' }));
const { gpt2 } = SPLIT_PATTERN_SOURCES;

/** What a name stands for. */
export interface GgufPattern {
  readonly pattern: BpeModel['pattern'];
  readonly ignoreMerges?: boolean;
  /** the token that begins a text stands before each where the file does not say */
  readonly addsBegin?: boolean;
}

const LLAMA3: GgufPattern = { pattern: 'cl100k', ignoreMerges: true, addsBegin: true };
const GPT2: GgufPattern = { pattern: 'gpt2' };
const QWEN2: GgufPattern = { pattern: 'qwen2' };
const CL100K: GgufPattern = { pattern: 'cl100k' };
const DIGITS: GgufPattern = { pattern: rules('\\p{N}', gpt2) };
const O200K: GgufPattern = { pattern: rules(O200K_PATTERN) };
const DEEPSEEK3: GgufPattern = { pattern: rules('\\p{N}{1,3}', '[一-龥぀-ゟ゠-ヿ]+', DEEPSEEK) };

const BY_NAME: ReadonlyMap<string, GgufPattern> = new Map([
  ['default', { pattern: rules('[\\p{P}$+<=>^~|]+', gpt2, '\\p{N}+', '[0-9][0-9][0-9]') }],
  ...named(LLAMA3, 'llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2'),
  ...named(
    GPT2,
    'gpt-2 phi-2 mpt olmo jais trillion granite-docling exaone4 mellum gigachat a.x-4.0 jina-es jina-de',
  ),
  ...named(DIGITS, 'starcoder refact command-r smollm codeshell exaone minerva-7b'),
  ...named(QWEN2, 'qwen2 stablelm2 hunyuan megrez deepseek-r1-qwen kormo grok-2'),
  ...named(CL100K, 'dbrx smaug-bpe chatglm-bpe glm4'),
  ...named(O200K, 'gpt-4o llama4 minimax-m2'),
  ...named(DEEPSEEK3, 'deepseek-v3 hunyuan-dense'),
  ['tekken', { pattern: rules(TEKKEN), ignoreMerges: true, addsBegin: true }],
  ['falcon', { pattern: rules('[\\p{P}$+<=>^~|`]+', gpt2, '[0-9][0-9][0-9]') }],
  [
    'deepseek-coder',
    { pattern: rules('[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', '[一-龥ࠀ-一가-퟿]+', '\\p{N}') },
  ],
  ...named({ pattern: rules(BLOOM) }, 'bloom poro-chat gpt3-finnish'),
  ['viking', { pattern: rules(BLOOM, '\\p{N}') }],
] as const);

/** What `name` stands for, or undefined. */
export function patternOfGguf(name: string): GgufPattern | undefined {
  return BY_NAME.get(name);
}

/** The name that makes llama.cpp split and merge the same way, or undefined. */
export function ggufNameOf({ pattern, ignoreMerges = false }: BpeModel): string | undefined {
  const names: Record<SplitPattern, string> = {
    cl100k: ignoreMerges ? 'llama-bpe' : 'dbrx',
    gpt2: 'gpt-2',
    qwen2: 'qwen2',
  };
  if (typeof pattern === 'string') return ignoreMerges && pattern !== 'cl100k' ? undefined : names[pattern];
  const wanted = JSON.stringify(pattern);
  for (const [name, known] of BY_NAME) {
    if (JSON.stringify(known.pattern) === wanted && (known.ignoreMerges ?? false) === ignoreMerges)
      return name;
  }
  return undefined;
}

function named(pattern: GgufPattern, names: string): [string, GgufPattern][] {
  return names.split(' ').map((name) => [name, pattern]);
}
