/**
 * Stage `decontaminate`: keeps texts of evaluation sets out of the training data, by runs of words they have in common. As for GPT-3
 * (Brown et al. 2020, arXiv 2005.14165, appendix C): 13-grams of words without case and punctuation; an evaluation text of fewer words, but at least eight,
 * is one n-gram of its own length. A document is dropped when more than `maxShare` of its n-grams are found, or the
 * spans found are cut out with 200 characters around.
 * Limits: n-grams by 53-bit hashes; frequent phrases are not excepted; paraphrases and translations are not seen.
 */
import { z } from 'zod';
import type { Document } from '../documents.ts';
import { sourceConfigSchema } from '../source-config.ts';
import { packColumns, unpackColumns } from './columns.ts';
import { flatSet, flatSetHas, wideGramHash } from './flat-set.ts';
import { type Outcome, type TextStage, withText } from './stage.ts';
import { WordScanner } from './words.ts';

const schema = z.strictObject({
  /** the evaluation sets */
  sources: z.array(sourceConfigSchema).min(1),
  /** words in an n-gram */
  ngram: z.int().min(3).max(50).default(13),
  /** an evaluation text of fewer words than this is not looked for */
  minWords: z.int().min(3).default(8),
  action: z.enum(['drop', 'cut']).default('drop'),
  /** `drop` documents of which a larger share of the n-grams is found; 0: any */
  maxShare: z.number().min(0).lt(1).default(0),
  /** `cut` this many characters on each side of a find too */
  margin: z.int().nonnegative().default(200),
  /** drop a document that would be cut into more pieces */
  maxPieces: z.int().positive().default(10),
  /** pieces left between cuts that are shorter are dropped too, in characters */
  minPiece: z.int().nonnegative().default(200),
});
type DecontaminateConfig = z.output<typeof schema>;

export const decontaminate: TextStage<DecontaminateConfig> = {
  name: 'decontaminate',
  version: 1,
  schema,
  survey: {
    sources: (config) => config.sources,
    merge: async (_parts, config, { sources }) => gramsOf(sources, config),
    describe: (summary) => ({ evaluation_ngrams: Number(unpackColumns(summary).meta.grams) }),
  },
  create(config, summary) {
    const { columns } = unpackColumns(summary!);
    const grams = columns.grams as Float64Array;
    const sizes = columns.sizes as Uint32Array;
    const scanner = new WordScanner();
    return (document) => {
      const numWords = scanner.scan(document.text);
      const spans: [number, number][] = [];
      let numGrams = 0;
      for (const size of sizes) {
        for (let i = 0; i + size <= numWords; i++) {
          if (size === config.ngram) numGrams++;
          if (flatSetHas(grams, wideGramHash(scanner.hashes, i, size))) {
            spans.push([scanner.starts[i]!, scanner.ends[i + size - 1]!]);
          }
        }
      }
      if (spans.length === 0) return { keep: document };
      const share = spans.length / Math.max(1, numGrams);
      if (config.action === 'cut') return cut(document, spans, config);
      if (share > config.maxShare) return { reject: 'contaminated', detail: `${spans.length} n-grams` };
      return { keep: document, counts: { ngrams_found: spans.length } };
    };
  },
};

async function gramsOf(
  sources: readonly (Iterable<Document> | AsyncIterable<Document>)[],
  config: DecontaminateConfig,
): Promise<Uint8Array> {
  const scanner = new WordScanner();
  const grams = new Set<number>();
  const sizes = new Set<number>([config.ngram]);
  for (const documents of sources) {
    for await (const { text } of documents) {
      const numWords = scanner.scan(text);
      const size = Math.min(config.ngram, numWords);
      if (size < Math.min(config.minWords, config.ngram)) continue;
      sizes.add(size);
      for (let i = 0; i + size <= numWords; i++) grams.add(wideGramHash(scanner.hashes, i, size));
    }
  }
  const ordered = Uint32Array.from(sizes).sort();
  return packColumns({ grams: flatSet(grams, grams.size), sizes: ordered }, { grams: grams.size });
}

/** Cuts the spans and their margins; what stays between is joined by a blank line. */
function cut(
  document: Document,
  spans: readonly (readonly [number, number])[],
  { margin, maxPieces, minPiece }: DecontaminateConfig,
): Outcome {
  const { text } = document;
  const pieces: string[] = [];
  let at = 0;
  for (const [start, end] of [...spans].sort((a, b) => a[0] - b[0])) {
    const from = beforePair(text, start - margin);
    if (from > at) pieces.push(text.slice(at, from));
    at = Math.max(at, beforePair(text, end + margin));
  }
  if (at < text.length) pieces.push(text.slice(at));
  if (pieces.length > maxPieces) return { reject: 'contaminated', detail: `${pieces.length} pieces` };
  const kept = pieces.filter((piece) => piece.trim().length >= minPiece).map((piece) => piece.trim());
  if (kept.length === 0) return { reject: 'contaminated', detail: 'nothing left' };
  const rest = `${kept.join('\n\n')}\n`;
  return { keep: withText(document, rest), counts: { characters_cut: text.length - rest.length } };
}

/** `at`, or one less where that would part a surrogate pair. */
function beforePair(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit < 0xe000 ? at - 1 : at;
}
