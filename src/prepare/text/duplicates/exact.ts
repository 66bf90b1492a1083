/**
 * Stage `exact-duplicates`: of texts that are equal, but perhaps for case, punctuation and spaces, the first stays. Documents, or
 * paragraphs within and across documents, as in the paragraph-level deduplication of CCNet (Wenzek et al. 2020, arXiv 1911.00359).
 * Limit: equality is that of 64-bit hashes; among 100 million different texts the chance of one false pair is 1 in 4,000.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { WordScanner } from '../words.ts';
import { type Fingerprint, UNITS } from './parts.ts';
import { duplicatesStage } from './stage.ts';

const schema = z.strictObject({
  /** what is compared and dropped: whole documents, or paragraphs */
  unit: z.enum(UNITS).default('document'),
  /** what must be equal: the `text` itself (trimmed), or its `words` */
  equality: z.enum(['text', 'words']).default('text'),
  /** an item of fewer words is never a duplicate; 0 compares all */
  minWords: z.int().nonnegative().default(0),
});
type ExactConfig = z.output<typeof schema>;

export const exactDuplicates = duplicatesStage('exact-duplicates', schema, (config: ExactConfig) => ({
  numBands: 1,
  fingerprint: () => fingerprintBy(config),
}));

function fingerprintBy({ equality, minWords }: ExactConfig): Fingerprint {
  const scanner = new WordScanner();
  return (text) => {
    const needsWords = equality === 'words' || minWords > 0;
    const numWords = needsWords ? scanner.scan(text) : 0;
    if (numWords < minWords) return undefined;
    const hash = createHash('sha256');
    if (equality === 'text') hash.update(text.trim());
    else hash.update(scanner.hashes.subarray(0, numWords));
    const digest = hash.digest();
    return { keys: Uint32Array.of(digest.readUInt32LE(0), digest.readUInt32LE(4)) };
  };
}
