/**
 * Stage `c4`: the cleaning of the Colossal Clean Crawled Corpus (Raffel et al. 2020, "Exploring the limits of transfer learning", section 2.2,
 * JMLR 21). Lines that do not end as sentences do, are short, or name Javascript are cut; pages with lorem ipsum, a curly brace or a listed bad word, or
 * with too few sentences left, are rejected. Each rule can be switched off, and is counted by its name.
 * Limits: sentences are counted by their final punctuation; the removal of repeated three-sentence spans across documents is `exact-duplicates` by
 * paragraph here; there is no list of bad words of our own. Not for code: it has curly braces.
 */
import { z } from 'zod';
import { type TextStage, withText } from '../stage.ts';

const schema = z.strictObject({
  /** cut lines that do not end in . ? ! or a quotation mark; lines that end in an ellipsis go too */
  terminalPunctuation: z.boolean().default(true),
  /** cut lines of fewer words; null: none */
  minWordsPerLine: z.int().nonnegative().nullable().default(5),
  /** cut lines that say "javascript" */
  javascript: z.boolean().default(true),
  /** cut lines about cookies, terms and privacy policies */
  policies: z.boolean().default(true),
  /** reject documents that say "lorem ipsum" */
  loremIpsum: z.boolean().default(true),
  /** reject documents with a `{` */
  curlyBrace: z.boolean().default(true),
  /** reject documents of fewer sentences; null: none */
  minSentences: z.int().nonnegative().nullable().default(3),
  /** reject documents with one of these words, any case */
  badWords: z.array(z.string().min(1)).default([]),
});
type C4Config = z.output<typeof schema>;

const POLICIES = [
  'terms of use',
  'privacy policy',
  'cookie policy',
  'uses cookies',
  'use of cookies',
  'use cookies',
];

export const c4: TextStage<C4Config> = {
  name: 'c4',
  version: 1,
  schema,
  create(config) {
    const badWords = new Set(config.badWords.map((word) => word.toLowerCase()));
    return (document) => {
      const lower = document.text.toLowerCase();
      if (config.loremIpsum && lower.includes('lorem ipsum')) return { reject: 'lorem_ipsum' };
      if (config.curlyBrace && lower.includes('{')) return { reject: 'curly_brace' };
      const bad =
        badWords.size > 0 && (lower.match(/[\p{L}\p{M}\p{N}]+/gu) ?? []).find((word) => badWords.has(word));
      if (bad) return { reject: 'bad_word', detail: bad };
      const counts: Record<string, number> = {};
      const lines = document.text.split('\n').filter((line) => {
        const rule = line.trim() === '' ? undefined : brokenLineRule(line.trim(), config);
        if (rule) counts[`lines_${rule}`] = (counts[`lines_${rule}`] ?? 0) + 1;
        return !rule;
      });
      const text = lines.join('\n');
      const numSentences = sentencesIn(text);
      if (config.minSentences !== null && numSentences < config.minSentences) {
        return { reject: 'too_few_sentences', detail: String(numSentences), counts };
      }
      return { keep: withText(document, text), counts };
    };
  },
};

/** The rule for which a line is cut. */
function brokenLineRule(line: string, config: C4Config): string | undefined {
  if (config.terminalPunctuation && (!/[.?!"”’']$/.test(line) || line.endsWith('...'))) {
    return 'no_terminal_punctuation';
  }
  const { minWordsPerLine } = config;
  if (minWordsPerLine !== null && (line.match(/\S+/g)?.length ?? 0) < minWordsPerLine) return 'too_short';
  const lower = line.toLowerCase();
  if (config.javascript && lower.includes('javascript')) return 'javascript';
  if (config.policies && POLICIES.some((phrase) => lower.includes(phrase))) return 'policy';
  return undefined;
}

/** Runs of final punctuation followed by white space, quotes or the end. */
function sentencesIn(text: string): number {
  return text.match(/[.!?。！？](?=["'”’)\]\s]|$)/g)?.length ?? 0;
}
