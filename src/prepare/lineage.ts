/**
 * From a training sample back to its documents. Beside the shards of each domain stands `lineage.bin`: for every document in the
 * order of the tokens its id (16 bytes) and its number of tokens, the end-of-text token included (u32, little-endian). Sample
 * k holds the tokens from k * (sampleTokens - 1) on; the rest is told by the line of the document's file.
 */
import { appendFileSync, closeSync, existsSync, fsyncSync, openSync, readSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { assert, DabarexError, fileError, readJsonFile } from '../base/index.ts';
import { linesIn } from '../stream/index.ts';
import type { CorpusManifest } from './corpus-report.ts';
import { type Document, identified, readDocuments } from './documents.ts';
import { SPLITS, type Split } from './split.ts';
import type { ShardsManifest } from './token-shards.ts';

export const LINEAGE_FILE = 'lineage.bin';
const ID_BYTES = 16;
const ROW_BYTES = ID_BYTES + 4;
/** How documents.ts begins a line. */
const LINE_START = Buffer.from('{"id":"');
const ROWS_PER_WRITE = 4096;

/** Written while a split is encoded: first the lines that go to the threads, then, in the same order, their tokens. */
export class LineageWriter {
  private readonly path: string;
  private readonly endOfTextId: number;
  private readonly ids: Buffer[] = [];
  private rows: Buffer[] = [];
  private tokens = 0;

  constructor(path: string, endOfTextId: number) {
    this.path = path;
    this.endOfTextId = endOfTextId;
  }

  /** Whole lines of a document file. @throws documents_invalid */
  addLines(bytes: Uint8Array): void {
    const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const { start, end } of linesIn(lines)) this.ids.push(idOf(lines.subarray(start, end), this.path));
  }

  /** The next tokens; an end-of-text token ends a document. */
  addTokens(tokens: Int32Array): void {
    let start = 0;
    for (
      let end = tokens.indexOf(this.endOfTextId);
      end >= 0;
      end = tokens.indexOf(this.endOfTextId, start)
    ) {
      this.endDocument(this.tokens + end + 1 - start);
      start = end + 1;
    }
    this.tokens += tokens.length - start;
  }

  /** @throws disk_full */
  finish(): void {
    assert(this.ids.length === 0 && this.tokens === 0, 'documents whose end no token told');
    this.write(true);
  }

  private endDocument(tokens: number): void {
    const id = this.ids.shift();
    assert(id, 'an end-of-text token within a text');
    const row = Buffer.alloc(ROW_BYTES);
    id.copy(row);
    row.writeUInt32LE(tokens, ID_BYTES);
    this.rows.push(row);
    this.tokens = 0;
    if (this.rows.length === ROWS_PER_WRITE) this.write();
  }

  private write(last = false): void {
    try {
      const file = openSync(this.path, 'a');
      try {
        appendFileSync(file, Buffer.concat(this.rows));
        if (last) fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      throw fileError(error, this.path);
    }
    this.rows = [];
  }
}

function idOf(line: Buffer, path: string): Buffer {
  const id = Buffer.from(line.toString('latin1', LINE_START.length, LINE_START.length + 2 * ID_BYTES), 'hex');
  if (line.subarray(0, LINE_START.length).equals(LINE_START) && id.length === ID_BYTES) return id;
  throw new DabarexError(
    'documents_invalid',
    `A line of the documents for ${path} does not begin with the document's id. Delete the folder of documents and prepare the corpus again.`,
    { path },
  );
}

export interface SampleDocument extends Document {
  /** of the sample: the first token that is of this document, and the one behind its last, from 0 */
  readonly firstToken: number;
  readonly endToken: number;
  /** whether stages changed its text since it was extracted from its source */
  readonly isChanged: boolean;
}

export interface SampleLineage {
  readonly split: Split;
  readonly domain: string;
  /** the file that its documents stand in */
  readonly documentsFile: string;
  readonly documents: readonly SampleDocument[];
}

/**
 * The documents that a sample of token shards was made of.
 * @param dir `shards/KEY/train/DOMAIN`
 * @param documentsDir default: where the cache has them, beside the shards
 * @throws shard_missing where `dir` is no such folder; sample_invalid for a number beyond the last; documents_invalid where the
 *   documents are not there, or not those the shards were made of
 */
export async function sampleLineage(
  dir: string,
  sample: number,
  documentsDir?: string,
): Promise<SampleLineage> {
  const { manifest, split, domain } = shardsOf(dir);
  const { samples } = manifest.domains[domain]![split];
  if (!(sample < samples)) {
    const message = `${dir} has no sample ${sample}: it has ${samples}, from 0 to ${samples - 1}.`;
    throw new DabarexError('sample_invalid', message, { dir, sample, samples });
  }
  const folder = documentsDir ?? resolve(dir, '../../../../documents', manifest.corpusKey.slice(0, 16));
  requireCorpus(folder, manifest.corpusKey);
  const ranges = rangesOf(join(dir, LINEAGE_FILE), sample, manifest.sampleTokens);
  const documentsFile = join(folder, split, `${domain}.jsonl`);
  const documents: SampleDocument[] = [];
  let number = 0;
  for await (const document of readDocuments(documentsFile)) {
    const range = ranges.get(number++);
    if (range) documents.push(joined(document, range, documentsFile));
    if (documents.length === ranges.size) break;
  }
  return { split, domain, documentsFile, documents };
}

function shardsOf(dir: string): { manifest: ShardsManifest; split: Split; domain: string } {
  const [domain = '', split = ''] = resolve(dir).split(/[\\/]/).reverse();
  const manifest = readJsonFile<ShardsManifest>(resolve(dir, '../../manifest.json'));
  const found = SPLITS.find((each) => each === split);
  if (found && manifest?.domains?.[domain] && existsSync(join(dir, LINEAGE_FILE))) {
    return { manifest, split: found, domain };
  }
  throw new DabarexError(
    'shard_missing',
    `${dir} holds no token shards with their lineage. Name a folder as shards/KEY/train/DOMAIN that dabarex has made.`,
    { dir },
  );
}

function requireCorpus(folder: string, key: string): void {
  if (readJsonFile<CorpusManifest>(join(folder, 'manifest.json'))?.key === key) return;
  throw new DabarexError(
    'documents_invalid',
    `${folder} does not hold the documents that these shards were made of (${key.slice(0, 16)}). Name their folder with --documents, or prepare them again.`,
    { folder, key },
  );
}

interface TokenRange {
  readonly id: string;
  readonly firstToken: number;
  readonly endToken: number;
}

/** The documents of a sample by their number, from the sizes of all before them. */
function rangesOf(path: string, sample: number, sampleTokens: number): Map<number, TokenRange> {
  const from = sample * (sampleTokens - 1);
  const to = from + sampleTokens;
  const ranges = new Map<number, TokenRange>();
  let start = 0;
  let number = 0;
  for (const row of rowsOf(path)) {
    const end = start + row.readUInt32LE(ID_BYTES);
    if (end > from) {
      const firstToken = Math.max(0, start - from);
      const endToken = Math.min(end, to) - from;
      ranges.set(number, { id: row.toString('hex', 0, ID_BYTES), firstToken, endToken });
    }
    if (end >= to) break;
    start = end;
    number++;
  }
  return ranges;
}

function* rowsOf(path: string): Generator<Buffer> {
  const file = openSync(path, 'r');
  const block = Buffer.alloc(ROW_BYTES * ROWS_PER_WRITE);
  try {
    for (;;) {
      const count = readSync(file, block);
      for (let at = 0; at + ROW_BYTES <= count; at += ROW_BYTES) yield block.subarray(at, at + ROW_BYTES);
      if (count < block.length) return;
    }
  } finally {
    closeSync(file);
  }
}

function joined(document: Document, { id, firstToken, endToken }: TokenRange, path: string): SampleDocument {
  if (document.id !== id) {
    throw new DabarexError(
      'documents_invalid',
      `${path} does not hold the document ${id} where the shards have it. It was changed since; prepare the corpus again.`,
      { path, id },
    );
  }
  return { ...document, firstToken, endToken, isChanged: identified(document).id !== id };
}
