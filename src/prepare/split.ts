/**
 * How texts are cut for the train and held-out parts: a lone long text at paragraphs, so that some of its blocks can be held out,
 * and the tail of a source at a character.
 */
import { type Document, identified } from './documents.ts';

/** A lone long text is cut into blocks of about this many characters. */
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

/** The first `headUnits` UTF-16 units of a document, one less where they would cut a character, and the rest. */
export function tailCut(document: Document, headUnits: number): { head?: Document; tail?: Document } {
  const { text } = document;
  let cut = Math.min(headUnits, text.length);
  if (cut > 0 && cut < text.length && /[\uDC00-\uDFFF]/.test(text[cut]!)) cut--;
  if (cut === text.length) return { head: document };
  if (cut === 0) return { tail: document };
  const part = (from: number, to?: number) => identified({ ...document, text: text.slice(from, to) });
  return { head: part(0, cut), tail: part(cut) };
}
