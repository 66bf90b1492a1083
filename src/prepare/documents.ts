/** Clean documents on disk: one JSON object a line, `{"id","source","path","text"}`. */
import { createHash } from 'node:crypto';
import { DabarexError } from '../base/index.ts';
import { RowsError, readLines } from '../stream/index.ts';

/** A longer one could not be a string. */
const MAX_LINE_BYTES = 1 << 29;

export interface Document {
  /** the first 32 hex digits of the sha256 of the text */
  readonly id: string;
  /** the source's URL */
  readonly source: string;
  /** the file within the source */
  readonly path: string;
  readonly text: string;
  /** what stages found out about the text: scores, the language */
  readonly notes?: Readonly<Record<string, number | string>>;
}

/** A document with its id. */
export function identified(document: Omit<Document, 'id'>): Document {
  const id = createHash('sha256').update(document.text).digest('hex').slice(0, 32);
  const { source, path, text, notes } = document;
  return notes === undefined ? { id, source, path, text } : { id, source, path, text, notes };
}

/** The lines of a document file, about 1 MB a part. */
export function* documentLines(documents: Iterable<Document>): Generator<Uint8Array> {
  let part: string[] = [];
  let length = 0;
  for (const document of documents) {
    const line = `${JSON.stringify(document)}\n`;
    part.push(line);
    length += line.length;
    if (length >= 1 << 20) {
      yield Buffer.from(part.join(''));
      part = [];
      length = 0;
    }
  }
  if (length > 0) yield Buffer.from(part.join(''));
}

/**
 * The documents of a file written by prepareCorpus, in order.
 * @throws documents_invalid for a line that is not a document
 */
export async function* readDocuments(path: string): AsyncGenerator<Document> {
  try {
    for await (const { number, bytes } of readLines(path, { maxLineBytes: MAX_LINE_BYTES })) {
      yield parseDocument(bytes.toString('utf8'), path, { lineNumber: number });
    }
  } catch (error) {
    throw error instanceof RowsError ? noDocument(path, { lineNumber: error.line! }) : error;
  }
}

/**
 * The document on one line of the file at `path`.
 * @throws documents_invalid, with the place of the line
 */
export function parseDocument(line: string, path: string, place: LinePlace): Document {
  try {
    const document = JSON.parse(line) as Document;
    if (typeof document.id === 'string' && typeof document.text === 'string') return document;
  } catch {
    // reported below
  }
  throw noDocument(path, place);
}

type LinePlace = { readonly lineNumber: number } | { readonly startByte: number };

function noDocument(path: string, place: LinePlace): DabarexError {
  const which = 'lineNumber' in place ? `line ${place.lineNumber}` : `the line at byte ${place.startByte}`;
  return new DabarexError(
    'documents_invalid',
    `${path}: ${which} is not a document. Delete the folder of documents and prepare the corpus again.`,
    { path, ...place },
  );
}
