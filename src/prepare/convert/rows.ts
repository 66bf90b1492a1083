/** Rows of an input file, one format each: values by name, as JavaScript has them. What is wrong with a row ends the conversion. */
import { readFileSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { DabarexError } from '../../base/index.ts';
import { ParquetFile, parseRow, RowsError, readLines } from '../../stream/index.ts';
import type { InputFormat } from './inputs.ts';

export interface Row {
  /** file and place in it, for messages */
  readonly where: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export interface RowOptions {
  /** names of text files are given relative to it */
  readonly root: string;
  /** limit of the database that reads Parquet */
  readonly memoryBytes: number;
  /** told of the bytes of the file as they are done */
  readonly onBytes: (count: number) => void;
}

const MAX_TEXT_BYTES = 1 << 28;

/** @throws documents_invalid, source_too_large */
export function readRows(
  path: string,
  format: Exclude<InputFormat, 'mds'>,
  options: RowOptions,
): AsyncIterable<Row> {
  if (format === 'jsonl') return jsonlRows(path, options);
  return format === 'parquet' ? parquetRows(path, options) : textRow(path, options);
}

async function* jsonlRows(path: string, { onBytes }: RowOptions): AsyncGenerator<Row> {
  try {
    for await (const { number, bytes } of readLines(path, { onBytes })) {
      const where = `${path}: line ${number}`;
      const row = parseRow(textOf(bytes, where));
      if ('values' in row) yield { where, values: row.values };
      else if (row.problem === 'invalid_json') throw invalid(where, `is not JSON (${row.detail})`, row.cause);
      else throw invalid(where, 'is no JSON object');
    }
  } catch (error) {
    throw explained(error, path);
  }
}

async function* textRow(path: string, { root, onBytes }: RowOptions): AsyncGenerator<Row> {
  const size = statSync(path).size;
  if (size > MAX_TEXT_BYTES) {
    const message = `${path} has ${size} bytes; a text of at most ${MAX_TEXT_BYTES} becomes one sample. Split the file.`;
    throw new DabarexError('source_too_large', message, { path, sizeBytes: size });
  }
  const text = textOf(readFileSync(path), path);
  onBytes(size);
  yield { where: path, values: { text, path: relative(root, path) || path } };
}

async function* parquetRows(path: string, { memoryBytes, onBytes }: RowOptions): AsyncGenerator<Row> {
  const parquet = await ParquetFile.open(path, { memoryBytes });
  try {
    let number = 0;
    for await (const rows of parquet.rows()) {
      for (const values of rows) yield { where: `${path}: row ${number++}`, values };
    }
    onBytes(statSync(path).size);
  } catch (error) {
    throw explained(error, path);
  } finally {
    parquet.close();
  }
}

function textOf(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid(where, 'is not UTF-8', cause);
  }
}

function explained(error: unknown, path: string): unknown {
  if (!(error instanceof RowsError)) return error;
  if (error.line !== undefined)
    return invalid(`${path}: line ${error.line}`, `is no row: ${error.message}`, error);
  return invalid(path, `cannot be read: ${error.message}`, error);
}

function invalid(where: string, problem: string, cause?: unknown): DabarexError {
  return new DabarexError(
    'documents_invalid',
    `${where} ${problem}. Mend or remove it.`,
    { path: where },
    { cause },
  );
}
