/**
 * Features of a text for the classifier: the different words, pairs of words, and runs of three to five characters within words, each hashed into one of
 * 2^bits buckets (hashing trick, Weinberger et al. 2009, arXiv 0902.2206; character n-grams as in fastText, Bojanowski et al. 2017).
 * Presence counts, not frequency, and the vector has length one.
 */
import { gramHash, mixed, WordScanner } from '../words.ts';

export interface FeatureConfig {
  /** of the buckets' number */
  readonly bits: number;
  /** only the head of a longer text is looked at */
  readonly maxCharacters: number;
}

const MIN_RUN = 3;
const MAX_RUN = 5;
const MAX_WORD = 24;

/** A function from texts to their different buckets; the result is overwritten by the next call. */
export function featureExtractor({ bits, maxCharacters }: FeatureConfig): (text: string) => Uint32Array {
  const scanner = new WordScanner();
  const seenAt = new Uint32Array(2 ** bits);
  let round = 0;
  let buckets = new Uint32Array(4096);
  let count = 0;
  const add = (hash: number): void => {
    const bucket = hash >>> (32 - bits);
    if (seenAt[bucket] === round) return;
    seenAt[bucket] = round;
    if (count === buckets.length) {
      const larger = new Uint32Array(count * 2);
      larger.set(buckets);
      buckets = larger;
    }
    buckets[count++] = bucket;
  };
  return (text) => {
    round++;
    count = 0;
    const head = text.slice(0, maxCharacters).toLowerCase();
    const numWords = scanner.scan(head);
    for (let word = 0; word < numWords; word++) {
      add(gramHash(scanner.hashes, word, 1));
      if (word > 0) add(gramHash(scanner.hashes, word - 1, 2));
      addRuns(head, scanner.starts[word]!, scanner.ends[word]!, add);
    }
    return buckets.subarray(0, count);
  };
}

/** Runs of characters of a word between marks of its ends. */
function addRuns(text: string, start: number, end: number, add: (hash: number) => void): void {
  const last = Math.min(end, start + MAX_WORD);
  const unitAt = (i: number) => (i < start ? 1 : i >= last ? 2 : text.charCodeAt(i));
  for (let from = start - 1; from <= last - MIN_RUN + 1; from++) {
    let hash = 0x2545f491;
    for (let size = 1; size <= MAX_RUN && from + size <= last + 1; size++) {
      hash = Math.imul(hash ^ unitAt(from + size - 1), 0x01000193);
      if (size >= MIN_RUN) add(mixed(hash ^ size));
    }
  }
}
