/**
 * Stage `near-duplicates`: of texts whose sets of shingles have a Jaccard similarity of `threshold` or more one stays. Shingles of
 * five words as in Gopher and RefinedWeb (Rae et al. 2021, arXiv 2112.11446; Penedo et al. 2023, arXiv 2306.01116); clusters by union-find, so a text may
 * be dropped for one that it is like only by way of a third.
 * Every candidate is verified, so the threshold decides, not the bands. Limits: see `minhash.ts` and `join.ts`.
 */
import { z } from 'zod';
import { type Bands, bandKeys, bandsFor, shingler, sketchOf, sketchSimilarity } from './minhash.ts';
import { type Fingerprint, type Parts, UNITS } from './parts.ts';
import { duplicatesStage } from './stage.ts';
import { KEEP_RULES } from './verdict.ts';

const schema = z.strictObject({
  unit: z.enum(UNITS).default('document'),
  /** Jaccard similarity of the sets of shingles from which on two texts are duplicates */
  threshold: z.number().min(0.3).max(1).default(0.8),
  shingle: z.enum(['words', 'characters']).default('words'),
  /** words, or characters, in a shingle */
  shingleSize: z.int().min(1).max(64).default(5),
  /** an item of fewer words is never a duplicate */
  minWords: z.int().nonnegative().default(10),
  /** permutations; more find pairs at the threshold with fewer false candidates, in time proportional to their number */
  numHashes: z.int().min(16).max(1024).default(128),
  /** the probability with which a pair just at the threshold is found; decides how the permutations are cut into bands */
  recall: z.number().min(0.5).max(0.9999).default(0.99),
  /** which of a cluster stays */
  keep: z.enum(KEEP_RULES).default('first'),
  seed: z.int().nonnegative().default(1),
});
type NearConfig = z.output<typeof schema>;

export const nearDuplicates = duplicatesStage('near-duplicates', schema, (config: NearConfig) => {
  const bands = bandsFor(config.threshold, config.numHashes, config.recall);
  return {
    numBands: bands.numBands,
    fingerprint: () => fingerprintBy(config, bands),
    verifier: (parts) => verifierOf(parts, config.threshold),
    keep: config.keep,
  };
});

function fingerprintBy(config: NearConfig, bands: Bands): Fingerprint {
  const shinglesOf = shingler(config);
  const keysOf = bandKeys(bands, config.seed);
  return (text) => {
    const shingles = shinglesOf(text);
    return shingles && { keys: keysOf(shingles), sketch: sketchOf(shingles) };
  };
}

/** Candidates often meet again in other bands; the pairs refused lately are remembered. */
const REMEMBERED_PAIRS = 1 << 16;

function verifierOf(parts: Parts, threshold: number): (a: number, b: number) => boolean {
  const refused = new Float64Array(REMEMBERED_PAIRS).fill(-1);
  return (a, b) => {
    const pair = a * parts.numItems + b;
    const slot = pair % REMEMBERED_PAIRS;
    if (refused[slot] === pair) return false;
    const isDuplicate = sketchSimilarity(parts.sketch(a), parts.sketch(b)) >= threshold;
    if (!isDuplicate) refused[slot] = pair;
    return isDuplicate;
  };
}
