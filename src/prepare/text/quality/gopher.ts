/**
 * Stage `gopher-quality`: the quality filter of MassiveText (Rae et al. 2021, "Scaling language models: methods, analysis & insights from training
 * Gopher", arXiv 2112.11446, appendix A.1.1). A document is rejected by the first rule it breaks, in the order of the paper; each has its name
 * and its threshold, the published one by default, null switches it off. Words are separated by white space.
 * Limit: meant for English prose. Code and tables break the rules of symbols, letters and stop words.
 */
import { z } from 'zod';
import type { TextStage } from '../stage.ts';
import { trimmedLines, whitespaceWords } from './measures.ts';

/** The paper's list. */
const STOP_WORDS = new Set(['the', 'be', 'to', 'of', 'and', 'that', 'have', 'with']);

const count = () => z.int().nonnegative().nullable();
const share = () => z.number().min(0).max(1).nullable();

const schema = z.strictObject({
  minWords: count().default(50),
  maxWords: count().default(100_000),
  minMeanWordLength: z.number().positive().nullable().default(3),
  maxMeanWordLength: z.number().positive().nullable().default(10),
  /** hash signs for each word */
  maxHashRatio: share().default(0.1),
  /** ellipses for each word */
  maxEllipsisRatio: share().default(0.1),
  /** lines that begin with a bullet */
  maxBulletLines: share().default(0.9),
  /** lines that end with an ellipsis */
  maxEllipsisLines: share().default(0.3),
  /** words with a letter in them */
  minAlphabeticWords: share().default(0.8),
  /** occurrences of the, be, to, of, and, that, have, with: at least two of the eight */
  minStopWords: count().default(2),
});
type GopherConfig = z.output<typeof schema>;

export const gopherQuality: TextStage<GopherConfig> = {
  name: 'gopher-quality',
  version: 1,
  schema,
  create: (config) => (document) => {
    const broken = brokenRule(document.text, config);
    return broken
      ? { reject: broken.rule, detail: String(Number(broken.value.toPrecision(3))) }
      : { keep: document };
  },
};

interface Broken {
  readonly rule: string;
  readonly value: number;
}

function brokenRule(text: string, config: GopherConfig): Broken | undefined {
  const words = whitespaceWords(text);
  const numWords = words.length;
  if (below(numWords, config.minWords)) return { rule: 'too_few_words', value: numWords };
  if (above(numWords, config.maxWords)) return { rule: 'too_many_words', value: numWords };
  if (numWords === 0) return undefined;
  const meanLength = words.reduce((sum, word) => sum + word.length, 0) / numWords;
  if (below(meanLength, config.minMeanWordLength)) return { rule: 'short_words', value: meanLength };
  if (above(meanLength, config.maxMeanWordLength)) return { rule: 'long_words', value: meanLength };
  return brokenSymbolRule(text, numWords, config) ?? brokenWordRule(words, config);
}

function brokenSymbolRule(text: string, numWords: number, config: GopherConfig): Broken | undefined {
  const hashes = occurrences(text, '#') / numWords;
  if (above(hashes, config.maxHashRatio)) return { rule: 'hash_symbols', value: hashes };
  const ellipses = (occurrences(text, '...') + occurrences(text, '…')) / numWords;
  if (above(ellipses, config.maxEllipsisRatio)) return { rule: 'ellipsis_symbols', value: ellipses };
  const lines = trimmedLines(text);
  const bullets = lines.filter((line) => /^[-*•‣◦▪●]/.test(line)).length / lines.length;
  if (above(bullets, config.maxBulletLines)) return { rule: 'bullet_lines', value: bullets };
  const open = lines.filter((line) => line.endsWith('...') || line.endsWith('…')).length / lines.length;
  if (above(open, config.maxEllipsisLines)) return { rule: 'ellipsis_lines', value: open };
  return undefined;
}

function brokenWordRule(words: readonly string[], config: GopherConfig): Broken | undefined {
  const alphabetic = words.filter((word) => /\p{L}/u.test(word)).length / words.length;
  if (below(alphabetic, config.minAlphabeticWords))
    return { rule: 'few_alphabetic_words', value: alphabetic };
  const found = new Set(words.map((word) => word.toLowerCase()).filter((word) => STOP_WORDS.has(word)));
  if (below(found.size, config.minStopWords)) return { rule: 'few_stop_words', value: found.size };
  return undefined;
}

function below(value: number, limit: number | null): boolean {
  return limit !== null && value < limit;
}

function above(value: number, limit: number | null): boolean {
  return limit !== null && value > limit;
}

function occurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}
