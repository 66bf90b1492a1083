/**
 * Reading: the files of a unit decoded, extracted by the format of their source, and written as shards of documents. What
 * a format always leaves out (markup, licences) goes here; what a recipe chooses to leave out goes in the stages.
 */

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError, writeFileAtomic } from '../../base/index.ts';
import {
  type FetchOptions,
  fetchSource,
  globMatcher,
  integrityOf,
  type SourceFile,
} from '../../storage/index.ts';
import { packingOf } from '../../stream/index.ts';
import { decodeText, plainText } from '../decode.ts';
import { type Document, identified } from '../documents.ts';
import { extractTexts } from '../extract.ts';
import { withoutLicence } from '../licence.ts';
import type { SourceConfig, TextFormat } from '../source-config.ts';
import { jsonRows, parquetRows, type Row } from './rows.ts';
import { MAX_DOCUMENT_BYTES, SHARD_TEXT_BYTES, type Shard, writeShard } from './shard-file.ts';
import { documentTooLarge, type ReadUnit, type UnitFile } from './sources.ts';
import { addCounts, addReject, addSize, emptyTally, type Tally } from './tally.ts';

export interface ReadOptions extends FetchOptions {
  /** the folder of all stages */
  readonly stagesDir: string;
  /** an empty folder for temporary files */
  readonly workDir: string;
}

export interface ReadResult {
  readonly shards: readonly Shard[];
  /** what came in are files, or rows of files */
  readonly tally: Tally;
}

/**
 * Reads a unit into the shards `NAME-0000.jsonl.br`, `NAME-0001.jsonl.br` ...
 * @param name within the folder of all stages
 * @throws source_hash_mismatch for a file that changed since it was listed; source_corrupt for a row without text, unless the
 *   source rejects such rows; source_too_large; what fetchSource throws
 */
export async function readUnit(unit: ReadUnit, name: string, options: ReadOptions): Promise<ReadResult> {
  const tally = emptyTally();
  const shards: Shard[] = [];
  let documents: Document[] = [];
  let bytes = 0;
  const flush = () => {
    if (documents.length === 0) return;
    const path = `${name}-${String(shards.length).padStart(4, '0')}.jsonl.br`;
    shards.push(writeShard(options.stagesDir, path, documents, 0));
    documents = [];
    bytes = 0;
  };
  for await (const document of unitDocuments(unit, tally, options)) {
    options.signal?.throwIfAborted();
    addSize(tally.out, document.text);
    documents.push(document);
    bytes += Buffer.byteLength(document.text);
    if (bytes >= SHARD_TEXT_BYTES) flush();
  }
  flush();
  return { shards, tally };
}

/** The documents of a unit, in order. */
export async function* unitDocuments(
  unit: ReadUnit,
  tally: Tally,
  options: Omit<ReadOptions, 'stagesDir'>,
): AsyncGenerator<Document> {
  const { source } = unit;
  if (source.format === 'jsonl' || source.format === 'parquet') {
    for await (const file of rowFiles(unit, options)) yield* rowDocuments(source, file, tally, options);
    return;
  }
  for await (const file of wholeFiles(unit, options)) {
    if (file.bytes.length > MAX_DOCUMENT_BYTES) throw documentTooLarge(source, file.path, file.bytes.length);
    const { text, encoding } = decodeText(file.bytes);
    tally.in.documents++;
    tally.in.bytes += file.bytes.length;
    addCounts(tally, { files: 1, ...(encoding === 'latin1' ? { latin1_files: 1 } : {}) });
    yield* textDocuments(source, file.path, text, source.format, file.bytes);
  }
}

async function* textDocuments(
  source: SourceConfig,
  path: string,
  text: string,
  format: TextFormat,
  bytes?: Uint8Array,
): AsyncGenerator<Document> {
  const clean = format === 'code' && !source.keepLicences ? withoutLicence(text) : text;
  for (const each of await extractTexts(format, clean, bytes)) {
    yield identified({ source: source.url, path, text: each });
  }
}

async function* rowDocuments(
  source: SourceConfig,
  file: UnitFile,
  tally: Tally,
  options: Omit<ReadOptions, 'stagesDir'>,
): AsyncGenerator<Document> {
  const rows = source.format === 'parquet' ? parquetRows : jsonRows;
  addCounts(tally, { files: 1 });
  for await (const row of rows(file, { textField: source.textField, workDir: options.workDir })) {
    tally.in.documents++;
    tally.in.bytes += row.sizeBytes;
    const path = `${file.path}:${row.number}`;
    if (row.text !== undefined) {
      yield* textDocuments(source, path, plainText(row.text), source.textFormat);
    } else if (source.badRows === 'reject') {
      addReject(tally, row.problem!, identified({ source: source.url, path, text: '' }), row.detail);
    } else throw badRow(source, path, row);
  }
}

/** Files as bytes, each checked against the hash it was listed with. */
async function* wholeFiles(unit: ReadUnit, options: FetchOptions): AsyncGenerator<SourceFile> {
  const { source } = unit;
  if (!unit.files) {
    const excluded = source.exclude.map(globMatcher);
    const { files } = await fetchSource({ url: source.url, integrity: unit.integrity }, options);
    for await (const file of files) if (!excluded.some((matches) => matches(file.path))) yield file;
    return;
  }
  for (const file of unit.files) {
    const bytes = new Uint8Array(readFileSync(file.file));
    if (integrityOf(bytes) !== file.integrity) throw changedWhileRead(source, file);
    yield { path: file.path, bytes };
  }
}

/** Files of rows as files on disk; one that is not gets there. */
async function* rowFiles(unit: ReadUnit, options: Omit<ReadOptions, 'stagesDir'>): AsyncGenerator<UnitFile> {
  // Hashing a large file again would cost as much as reading it: its size and time must do.
  for (const file of unit.files ?? []) {
    requireUnchanged(unit.source, file);
    yield file;
    requireUnchanged(unit.source, file);
  }
  if (unit.files) return;
  for await (const { path, bytes } of wholeFiles(unit, options)) {
    // How it is packed is told by its name.
    const packing = packingOf(path);
    const file = join(options.workDir, packing ? `rows.${packing}` : 'rows');
    writeFileAtomic(file, bytes);
    yield { path, file, sizeBytes: bytes.length, mtimeMs: 0, integrity: '' };
  }
}

function badRow(source: SourceConfig, path: string, { problem, detail }: Row): DabarexError {
  const said = {
    invalid_utf8: 'is not UTF-8',
    invalid_json: 'is not JSON',
    no_text: `has no text under "${source.textField}"`,
  }[problem!];
  return new DabarexError(
    'source_corrupt',
    `${source.url}: ${path} ${said} (${detail}). Mend the row, name another textField, or pass such rows over with badRows: reject.`,
    { url: source.url, path, problem },
  );
}

function requireUnchanged(source: SourceConfig, file: UnitFile): void {
  const { size, mtimeMs } = statSync(file.file);
  if (size !== file.sizeBytes || mtimeMs !== file.mtimeMs) throw changedWhileRead(source, file);
}

/** What is read must be what was hashed. */
function changedWhileRead({ url }: SourceConfig, { file }: UnitFile): DabarexError {
  const problem = `${url}: ${file} has changed since its folder was listed`;
  return new DabarexError('source_hash_mismatch', `${problem}. Run again when it is at rest.`, {
    url,
    path: file,
  });
}
