/**
 * Stage `gopher-repetition`: rejects documents that repeat themselves by the rules of MassiveText (Rae et al. 2021, arXiv 2112.11446, appendix
 * A.1.1, table A1), each with its published threshold by default; null switches a rule off. Shares are of lines, of paragraphs, or of the
 * characters of the words. Per n only the first broken rule is named.
 * Limit: n-grams are compared by 32-bit hashes of words without case and punctuation.
 */
import { z } from 'zod';
import { paragraphRanges } from '../paragraphs.ts';
import type { TextStage } from '../stage.ts';
import { WordScanner } from '../words.ts';
import {
  duplicateGramShare,
  duplicateShares,
  topGramShare,
  trimmedLines,
  type WordTable,
} from './measures.ts';

const share = () => z.number().min(0).max(1).nullable();

const schema = z.strictObject({
  maxDuplicateLines: share().default(0.3),
  maxDuplicateParagraphs: share().default(0.3),
  maxDuplicateLineCharacters: share().default(0.2),
  maxDuplicateParagraphCharacters: share().default(0.2),
  maxTop2GramCharacters: share().default(0.2),
  maxTop3GramCharacters: share().default(0.18),
  maxTop4GramCharacters: share().default(0.16),
  maxDuplicate5GramCharacters: share().default(0.15),
  maxDuplicate6GramCharacters: share().default(0.14),
  maxDuplicate7GramCharacters: share().default(0.13),
  maxDuplicate8GramCharacters: share().default(0.12),
  maxDuplicate9GramCharacters: share().default(0.11),
  maxDuplicate10GramCharacters: share().default(0.1),
});
type RepetitionConfig = z.output<typeof schema>;

export const gopherRepetition: TextStage<RepetitionConfig> = {
  name: 'gopher-repetition',
  version: 1,
  schema,
  create(config) {
    const scanner = new WordScanner();
    return (document) => {
      for (const [rule, value, limit] of measured(document.text, config, scanner)) {
        if (limit !== null && value() > limit) return { reject: rule, detail: value().toFixed(3) };
      }
      return { keep: document };
    };
  },
};

type Rule = [name: string, value: () => number, limit: number | null];

function* measured(text: string, config: RepetitionConfig, scanner: WordScanner): Generator<Rule> {
  const lines = duplicateShares(trimmedLines(text));
  const ranges = paragraphRanges(text);
  const paragraphs = duplicateShares(
    Array.from({ length: ranges.length / 2 }, (_, i) => text.slice(ranges[2 * i], ranges[2 * i + 1]).trim()),
  );
  yield ['duplicate_lines', () => lines.pieces, config.maxDuplicateLines];
  yield ['duplicate_paragraphs', () => paragraphs.pieces, config.maxDuplicateParagraphs];
  yield ['duplicate_line_characters', () => lines.characters, config.maxDuplicateLineCharacters];
  yield [
    'duplicate_paragraph_characters',
    () => paragraphs.characters,
    config.maxDuplicateParagraphCharacters,
  ];
  const words = tableOf(text, scanner);
  for (const size of [2, 3, 4] as const) {
    yield [`top_${size}gram`, () => topGramShare(words, size), config[`maxTop${size}GramCharacters`]];
  }
  for (const size of [5, 6, 7, 8, 9, 10] as const) {
    const limit = config[`maxDuplicate${size}GramCharacters`];
    yield [`duplicate_${size}grams`, () => duplicateGramShare(words, size), limit];
  }
}

function tableOf(text: string, scanner: WordScanner): WordTable {
  const count = scanner.scan(text);
  const lengths = new Uint32Array(count);
  let characters = 0;
  for (let i = 0; i < count; i++) characters += lengths[i] = scanner.ends[i]! - scanner.starts[i]!;
  return { hashes: scanner.hashes, lengths, count, characters };
}
