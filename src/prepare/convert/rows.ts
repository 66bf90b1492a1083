/** Rows of an input file, one format each: values by name, as JavaScript has them. */
import { readFileSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { DabarexError } from '../../base/index.ts';
import type { InputFormat } from './inputs.ts';
import { readLines } from './lines.ts';

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
  for await (const { number, text } of readLines(path, onBytes)) {
    const where = `${path}: line ${number}`;
    let values: unknown;
    try {
      values = JSON.parse(text);
    } catch (cause) {
      throw invalid(where, `is not JSON (${(cause as Error).message})`, cause);
    }
    if (values === null || typeof values !== 'object' || Array.isArray(values)) {
      throw invalid(where, 'is no JSON object');
    }
    yield { where, values: values as Record<string, unknown> };
  }
}

async function* textRow(path: string, { root, onBytes }: RowOptions): AsyncGenerator<Row> {
  const size = statSync(path).size;
  if (size > MAX_TEXT_BYTES) {
    const message = `${path} has ${size} bytes; a text of at most ${MAX_TEXT_BYTES} becomes one sample. Split the file.`;
    throw new DabarexError('source_too_large', message, { path, sizeBytes: size });
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    throw invalid(path, 'is not UTF-8', cause);
  }
  onBytes(size);
  yield { where: path, values: { text, path: relative(root, path) || path } };
}

async function* parquetRows(path: string, { memoryBytes, onBytes }: RowOptions): AsyncGenerator<Row> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:', {
    threads: '1',
    memory_limit: `${Math.ceil(memoryBytes / 1e6)}MB`,
    autoinstall_known_extensions: 'false',
  });
  try {
    const connection = await instance.connect();
    const result = await connection.stream(`SELECT * FROM read_parquet('${path.replaceAll("'", "''")}')`);
    let number = 0;
    for await (const rows of result.yieldRowObjectJs()) {
      for (const values of rows) yield { where: `${path}: row ${number++}`, values };
    }
    onBytes(statSync(path).size);
  } catch (cause) {
    if (cause instanceof DabarexError) throw cause;
    throw invalid(path, `cannot be read as Parquet (${firstLine(cause)})`, cause);
  } finally {
    instance.closeSync();
  }
}

function firstLine(error: unknown): string {
  return String((error as Error).message ?? error).split('\n')[0]!;
}

function invalid(where: string, problem: string, cause?: unknown): DabarexError {
  return new DabarexError(
    'documents_invalid',
    `${where} ${problem}. Mend or remove it.`,
    { path: where },
    { cause },
  );
}
