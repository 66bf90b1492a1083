/**
 * Train and held-out parts. By hash: of each source the documents with the smallest hashes of their content, up to the fraction
 * of its bytes, so the choice hangs neither on order nor on the sizes a plain threshold would meet by luck in a small
 * source. By tail: the last characters of each source.
 */
import type { HeldOutConfig } from './config.ts';
import type { Document } from './documents.ts';

/** A lone long text is cut into blocks of about this many characters, so that some can be held out. */
const BLOCK_CHARACTERS = 8192;

export type Split = 'train' | 'heldout';
export const SPLITS: readonly Split[] = ['train', 'heldout'];

/** Cuts `text` at blank lines (a paragraph is never cut) into blocks of at least `blockCharacters`, but the last. */
export function paragraphBlocks(text: string, blockCharacters = BLOCK_CHARACTERS): string[] {
  const blocks: string[] = [];
  let block = '';
  for (const paragraph of text.split(/(?<=\n\s*\n)(?=\S)/)) {
    block += paragraph;
    if (block.length >= blockCharacters) {
      blocks.push(block);
      block = '';
    }
  }
  if (block !== '') blocks.push(block);
  return blocks;
}

/**
 * The train and held-out documents of one source, in their order. By hash at least one document is held out and one kept
 * where there are two or more.
 * @param identify gives a document its id after a cut
 */
export function splitDocuments(
  documents: readonly Document[],
  heldOut: HeldOutConfig,
  identify: (document: Omit<Document, 'id'>) => Document,
): Record<Split, Document[]> {
  if (heldOut.kind === 'tail') return splitTail(documents, heldOut.fraction, identify);
  const chosen = smallestHashes(documents, heldOut.fraction);
  return {
    train: documents.filter((each) => !chosen.has(each)),
    heldout: documents.filter((each) => chosen.has(each)),
  };
}

function smallestHashes(documents: readonly Document[], fraction: number): Set<Document> {
  const sizes = new Map(documents.map((each) => [each, Buffer.byteLength(each.text)]));
  const total = [...sizes.values()].reduce((sum, each) => sum + each, 0);
  const chosen = new Set<Document>();
  let bytes = 0;
  for (const each of [...documents].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    if (bytes >= total * fraction || chosen.size === documents.length - 1) break;
    chosen.add(each);
    bytes += sizes.get(each)!;
  }
  return chosen;
}

function splitTail(
  documents: readonly Document[],
  fraction: number,
  identify: (document: Omit<Document, 'id'>) => Document,
): Record<Split, Document[]> {
  const total = documents.reduce((sum, each) => sum + each.text.length, 0);
  let left = Math.floor(total * (1 - fraction));
  const parts: Record<Split, Document[]> = { train: [], heldout: [] };
  for (const document of documents) {
    const { text } = document;
    let cut = Math.min(left, text.length);
    if (cut > 0 && cut < text.length && /[\uDC00-\uDFFF]/.test(text[cut]!)) cut--;
    left -= cut;
    if (cut === text.length) parts.train.push(document);
    else if (cut === 0) parts.heldout.push(document);
    else {
      parts.train.push(identify({ ...document, text: text.slice(0, cut) }));
      parts.heldout.push(identify({ ...document, text: text.slice(cut) }));
      left = 0;
    }
  }
  return parts;
}
