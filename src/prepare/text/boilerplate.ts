/**
 * Stage `boilerplate`: paragraphs, or lines, that stand in many documents of one source (licences, navigation, footers) are cut from all of them.
 * Idea of site-wide template detection by frequency (Bar-Yossef and Rajagopalan 2002, "Template detection via data mining").
 * The survey counts in how many documents of its source each piece is; pieces in at least `minDocuments` and `minShare` of them go.
 * Safe for Markdown with code by default: fenced code stays as it is. For source code take `unit: line` with `edges: true`, which cuts
 * only at the head and the tail of a file.
 * Limits: pieces are compared by 53-bit hashes of their trimmed text.
 */
import { z } from 'zod';
import type { Document } from '../documents.ts';
import { ColumnFile, packColumns, unpackColumns } from './columns.ts';
import { flatSet, flatSetHas, pieceHash } from './flat-set.ts';
import { paragraphRanges } from './paragraphs.ts';
import { type Outcome, type TextStage, withText } from './stage.ts';

const schema = z.strictObject({
  unit: z.enum(['paragraph', 'line']).default('paragraph'),
  /** in at least this many documents of a source */
  minDocuments: z.int().min(2).default(10),
  /** and in at least this share of them */
  minShare: z.number().min(0).max(1).default(0.05),
  /** a shorter piece, trimmed, is never boilerplate */
  minCharacters: z.int().positive().default(8),
  /** cut at the head and the tail of documents only, until the first piece that stays */
  edges: z.boolean().default(false),
  /** take pieces for equal that differ in digits only (years, versions, page numbers) */
  ignoreDigits: z.boolean().default(false),
  /** leave fenced code blocks (``` and ~~~) as they are */
  keepFencedCode: z.boolean().default(true),
});
type BoilerplateConfig = z.output<typeof schema>;

export const boilerplate: TextStage<BoilerplateConfig> = {
  name: 'boilerplate',
  version: 1,
  schema,
  survey: {
    map: countPieces,
    merge: mergeCounts,
    describe: (summary) => ({ pieces: Number(unpackColumns(summary).meta.pieces) }),
  },
  create(config, summary) {
    const dropped = unpackColumns(summary!).columns.pieces as Float64Array;
    return (document) => cutPieces(document, config, (hash) => flatSetHas(dropped, hash));
  },
};

interface Piece {
  readonly start: number;
  /** where the next piece starts */
  readonly next: number;
  /** undefined for what is never boilerplate */
  readonly hash: number | undefined;
}

function piecesOf({ text, source }: Document, config: BoilerplateConfig): Piece[] {
  const seed = pieceHash(source, 0, source.length) | 0;
  const ranges = config.unit === 'line' ? lineRanges(text) : paragraphRanges(text);
  const compared = config.ignoreDigits ? text.replace(/\d/g, '0') : text;
  const pieces: Piece[] = [];
  let isInFence = false;
  for (let i = 0; i < ranges.length; i += 2) {
    const [start, end] = trimmedRange(text, ranges[i]!, ranges[i + 1]!);
    const wasInFence = isInFence;
    if (config.keepFencedCode) isInFence = fenceAfter(text.slice(ranges[i], ranges[i + 1]), isInFence);
    const isCode = wasInFence || isInFence || (config.keepFencedCode && hasFence(text.slice(start, end)));
    const isLong = end - start >= config.minCharacters;
    const hash = isLong && !isCode ? pieceHash(compared, start, end, seed) : undefined;
    pieces.push({ start: ranges[i]!, next: ranges[i + 2] ?? text.length, hash });
  }
  return pieces;
}

/** Lines that are not blank. */
function lineRanges(text: string): number[] {
  const ranges: number[] = [];
  for (let at = 0; at < text.length; ) {
    let end = text.indexOf('\n', at);
    if (end < 0) end = text.length;
    if (text.slice(at, end).trim() !== '') ranges.push(at, end);
    at = end + 1;
  }
  return ranges;
}

function trimmedRange(text: string, start: number, end: number): [number, number] {
  while (start < end && text.charCodeAt(start) <= 32) start++;
  while (end > start && text.charCodeAt(end - 1) <= 32) end--;
  return [start, end];
}

function hasFence(piece: string): boolean {
  return /^ {0,3}(?:```|~~~)/m.test(piece);
}

/** Whether a fence is open after the piece, each fence line opening or closing one. */
function fenceAfter(piece: string, isOpen: boolean): boolean {
  const numFences = piece.match(/^ {0,3}(?:```|~~~)/gm)?.length ?? 0;
  return numFences % 2 === 1 ? !isOpen : isOpen;
}

/** For each source its documents, and the pieces in them: hash, in ascending order, with the number of documents. */
async function countPieces(
  documents: Iterable<Document> | AsyncIterable<Document>,
  config: BoilerplateConfig,
): Promise<Uint8Array> {
  const documentsOf = new Map<string, number>();
  const counts = new Map<number, { count: number; source: number }>();
  const sources = new Map<string, number>();
  for await (const document of documents) {
    if (!sources.has(document.source)) sources.set(document.source, sources.size);
    documentsOf.set(document.source, (documentsOf.get(document.source) ?? 0) + 1);
    const hashes = new Set(piecesOf(document, config).map((piece) => piece.hash));
    for (const hash of hashes) {
      if (hash === undefined) continue;
      const known = counts.get(hash);
      if (known) known.count++;
      else counts.set(hash, { count: 1, source: sources.get(document.source)! });
    }
  }
  const hashes = Float64Array.from(counts.keys()).sort();
  return packColumns(
    {
      hashes,
      counts: Uint32Array.from(hashes, (hash) => counts.get(hash)!.count),
      source: Uint32Array.from(hashes, (hash) => counts.get(hash)!.source),
    },
    { sources: JSON.stringify([...documentsOf]) },
  );
}

/** a `Map` entry of a hash, with its share of the table */
const BYTES_PER_HASH = 96;

async function mergeCounts(
  partPaths: readonly string[],
  config: BoilerplateConfig,
  { memoryBytes, signal }: { memoryBytes: number; signal?: AbortSignal },
): Promise<Uint8Array> {
  const parts = partPaths.map((path) => new ColumnFile(path));
  try {
    const sources = parts.map((part) => JSON.parse(String(part.meta.sources)) as [string, number][]);
    const totals = new Map<string, number>();
    for (const [source, count] of sources.flat()) totals.set(source, (totals.get(source) ?? 0) + count);
    const numHashes = parts.reduce((sum, part) => sum + part.length('hashes'), 0);
    const numPasses = Math.max(1, Math.ceil((numHashes * BYTES_PER_HASH) / memoryBytes));
    const dropped: number[] = [];
    for (let pass = 0; pass < numPasses; pass++) {
      signal?.throwIfAborted();
      const range: [number, number] = [(2 ** 53 / numPasses) * pass, (2 ** 53 / numPasses) * (pass + 1)];
      for (const [hash, { count, source }] of sumRange(parts, sources, range)) {
        const least = Math.max(config.minDocuments, config.minShare * totals.get(source)!);
        if (count >= least) dropped.push(hash);
      }
    }
    return packColumns({ pieces: flatSet(dropped, dropped.length) }, { pieces: dropped.length });
  } finally {
    for (const part of parts) part.close();
  }
}

/** The counts of all parts for the hashes in a range; a share of the hash space is about that share of the hashes. */
function sumRange(
  parts: readonly ColumnFile[],
  sources: readonly (readonly [string, number][])[],
  [from, to]: [number, number],
): Map<number, { count: number; source: string }> {
  const sums = new Map<number, { count: number; source: string }>();
  parts.forEach((part, index) => {
    const start = lowerBound(part, from);
    const end = lowerBound(part, to);
    const hashes = part.read<Float64Array>('hashes', start, end);
    const counts = part.read('counts', start, end);
    const source = part.read('source', start, end);
    hashes.forEach((hash, i) => {
      const known = sums.get(hash);
      if (known) known.count += counts[i]!;
      else sums.set(hash, { count: counts[i]!, source: sources[index]![source[i]!]![0] });
    });
  });
  return sums;
}

function lowerBound(part: ColumnFile, wanted: number): number {
  let [low, high] = [0, part.length('hashes')];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (part.read<Float64Array>('hashes', middle, middle + 1)[0]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

function cutPieces(
  document: Document,
  config: BoilerplateConfig,
  isBoilerplate: (hash: number) => boolean,
): Outcome {
  const pieces = piecesOf(document, config);
  const isCut = pieces.map(({ hash }) => hash !== undefined && isBoilerplate(hash));
  if (config.edges) {
    const first = isCut.indexOf(false);
    const last = isCut.lastIndexOf(false);
    isCut.fill(false, Math.max(0, first), last + 1);
  }
  const numCut = isCut.filter(Boolean).length;
  if (numCut === 0) return { keep: document };
  const { text } = document;
  const kept = [text.slice(0, pieces[0]!.start)];
  pieces.forEach(({ start, next }, index) => {
    if (!isCut[index]) kept.push(text.slice(start, next));
  });
  const rest = kept.join('');
  const counts = { pieces_cut: numCut, characters_cut: text.length - rest.length };
  if (rest.trim() === '') return { reject: 'only_boilerplate', counts };
  return { keep: withText(document, rest), counts };
}
