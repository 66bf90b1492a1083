/**
 * Stage `fineweb`: the three filters that FineWeb adds to C4's and Gopher's (Penedo et al. 2024, "The FineWeb datasets", arXiv 2406.17557, section
 * 3.6), with its published thresholds by default; null switches a rule off. Shares are of lines that are not blank. (The
 * authors' released code has 0.01 for duplicate lines where the paper says 0.1.)
 */
import { z } from 'zod';
import type { TextStage } from '../stage.ts';
import { duplicateShares, trimmedLines } from './measures.ts';

const share = () => z.number().min(0).max(1).nullable();

const schema = z.strictObject({
  /** reject where at most this share of the lines ends with punctuation */
  minPunctuatedLines: share().default(0.12),
  /** reject where at least this share of the characters is in lines seen before in the document */
  maxDuplicateLineCharacters: share().default(0.1),
  /** reject where at least this share of the lines is shorter than `shortLineCharacters` */
  maxShortLines: share().default(0.67),
  shortLineCharacters: z.int().positive().default(30),
});
type FinewebConfig = z.output<typeof schema>;

export const fineweb: TextStage<FinewebConfig> = {
  name: 'fineweb',
  version: 1,
  schema,
  create: (config) => (document) => {
    const lines = trimmedLines(document.text);
    if (lines.length === 0) return { reject: 'empty' };
    const punctuated = lines.filter((line) => /[.!?"'”’。！？…]$/.test(line)).length / lines.length;
    if (config.minPunctuatedLines !== null && punctuated <= config.minPunctuatedLines) {
      return { reject: 'few_punctuated_lines', detail: punctuated.toFixed(3) };
    }
    const repeated = duplicateShares(lines).characters;
    if (config.maxDuplicateLineCharacters !== null && repeated >= config.maxDuplicateLineCharacters) {
      return { reject: 'duplicate_line_characters', detail: repeated.toFixed(3) };
    }
    const short = lines.filter((line) => line.length < config.shortLineCharacters).length / lines.length;
    if (config.maxShortLines !== null && short >= config.maxShortLines) {
      return { reject: 'short_lines', detail: short.toFixed(3) };
    }
    return { keep: document };
  },
};
