/**
 * Data sets of users: JSON Lines (`.gz` too) and Parquet, read row by row, so that a file may be larger than memory. JSON Lines
 * are cut here, since a line is untrusted: one without end is refused when it is too long, not when memory is full.
 * Parquet goes through DuckDB, with a memory limit and in the order of the file.
 */
import { isUtf8 } from 'node:buffer';
import { createReadStream, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createGunzip } from 'node:zlib';
import type { DuckDBConnection } from '@duckdb/node-api';
import { DabarexError } from '../../base/index.ts';
import { MAX_DOCUMENT_BYTES } from './shard-file.ts';
import type { UnitFile } from './sources.ts';

const DUCKDB_MEMORY = '256MB';
const NEWLINE = 10;

export interface Row {
  /** its number in the file, from 1 */
  readonly number: number;
  /** bytes of the row as it stood there */
  readonly sizeBytes: number;
  readonly text?: string;
  /** why there is no text: `invalid_utf8`, `invalid_json`, `no_text` */
  readonly problem?: string;
  readonly detail?: string;
}

export interface RowOptions {
  readonly textField: string;
  /** an existing folder for temporary files */
  readonly workDir: string;
}

/** @throws source_too_large for a line beyond {@link MAX_DOCUMENT_BYTES}; source_corrupt for a damaged `.gz` */
export async function* jsonRows(file: UnitFile, { textField }: RowOptions): AsyncGenerator<Row> {
  let number = 0;
  for await (const line of linesOf(file)) {
    number++;
    const row = { number, sizeBytes: line.length + 1 };
    if (line.length === 0 || (line.length === 1 && line[0] === 13)) continue;
    yield isUtf8(line)
      ? { ...row, ...textOf(line, textField) }
      : { ...row, problem: 'invalid_utf8', detail: line.subarray(0, 100).toString('latin1') };
  }
}

function textOf(line: Buffer, textField: string): Pick<Row, 'text' | 'problem' | 'detail'> {
  const json = line.toString('utf8');
  let row: unknown;
  try {
    row = JSON.parse(json);
  } catch (error) {
    return { problem: 'invalid_json', detail: (error as Error).message.slice(0, 200) };
  }
  const text = Object.hasOwn(Object(row), textField)
    ? (row as Record<string, unknown>)[textField]
    : undefined;
  if (typeof text === 'string') return { text };
  const fields = row && typeof row === 'object' ? Object.keys(row).slice(0, 20).join(', ') : typeof row;
  return { problem: 'no_text', detail: `it has ${fields || 'no fields'}` };
}

async function* linesOf(file: UnitFile): AsyncGenerator<Buffer> {
  const raw = createReadStream(file.file, { highWaterMark: 1 << 20 });
  const isGzip = file.file.endsWith('.gz');
  const bytes: AsyncIterable<Buffer> = isGzip ? raw.pipe(createGunzip()) : raw;
  if (isGzip)
    raw.on('error', (error) =>
      (bytes as unknown as NodeJS.ReadWriteStream & { destroy(e: Error): void }).destroy(error),
    );
  let pending: Buffer[] = [];
  let length = 0;
  let number = 1;
  const take = (part: Buffer) => {
    length += part.length;
    if (length > MAX_DOCUMENT_BYTES) throw tooLong(file, number);
    pending.push(part);
  };
  try {
    for await (const chunk of bytes) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        take(chunk.subarray(start, end));
        yield pending.length === 1 ? pending[0]! : Buffer.concat(pending);
        pending = [];
        length = 0;
        number++;
        start = end + 1;
      }
      if (start < chunk.length) take(chunk.subarray(start));
    }
  } catch (error) {
    throw isGzip && (error as NodeJS.ErrnoException).code?.startsWith('Z_') ? damaged(file, error) : error;
  } finally {
    raw.destroy();
  }
  if (length > 0) yield Buffer.concat(pending);
}

/** @throws config_invalid where there is no such column of text; source_corrupt for a file that is no Parquet or damaged */
export async function* parquetRows(file: UnitFile, { textField, workDir }: RowOptions): AsyncGenerator<Row> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  mkdirSync(workDir, { recursive: true });
  // DuckDB takes brackets and stars in a path for a pattern; the link's name has none.
  const link = join(workDir, 'input.parquet');
  rmSync(link, { force: true });
  symlinkSync(resolve(file.file), link);
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: DUCKDB_MEMORY,
    threads: '1',
    temp_directory: join(workDir, 'duckdb'),
  });
  try {
    yield* parquetTexts(await instance.connect(), link, file, textField);
  } finally {
    instance.closeSync();
    rmSync(link, { force: true });
  }
}

async function* parquetTexts(
  connection: DuckDBConnection,
  link: string,
  file: UnitFile,
  textField: string,
): AsyncGenerator<Row> {
  const from = `read_parquet('${link.replaceAll("'", "''")}')`;
  const column = `"${textField.replaceAll('"', '""')}"`;
  try {
    const columns = (await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${from}`)).getRows();
    const found = columns.find(([name]) => name === textField);
    if (found?.[1] !== 'VARCHAR') throw noColumn(file, textField, columns);
    const result = await connection.stream(`SELECT ${column} FROM ${from}`);
    let number = 0;
    for (
      let chunk = await result.fetchChunk();
      chunk && chunk.rowCount > 0;
      chunk = await result.fetchChunk()
    ) {
      for (const text of chunk.getColumnValues(0)) {
        number++;
        yield typeof text === 'string'
          ? { number, sizeBytes: Buffer.byteLength(text), text }
          : { number, sizeBytes: 0, problem: 'no_text', detail: 'null' };
      }
    }
  } catch (error) {
    throw error instanceof DabarexError ? error : damaged(file, error);
  } finally {
    connection.closeSync();
  }
}

function noColumn(file: UnitFile, textField: string, columns: readonly (readonly unknown[])[]): DabarexError {
  const there = columns.map(([name, type]) => `${name} (${type})`).join(', ');
  return new DabarexError(
    'config_invalid',
    `${file.path} has no column of text "${textField}"; it has ${there}. Name the column with textField.`,
    { path: file.file, textField },
  );
}

function tooLong(file: UnitFile, number: number): DabarexError {
  return new DabarexError(
    'source_too_large',
    `Line ${number} of ${file.path} is longer than ${MAX_DOCUMENT_BYTES >> 20} MB, too long for one document. Is the file JSON Lines, one object a line? Split the text over several.`,
    { path: file.file, line: number },
  );
}

function damaged(file: UnitFile, cause: unknown): DabarexError {
  const reason = cause instanceof Error ? cause.message.split('\n')[0]! : String(cause);
  return new DabarexError(
    'source_corrupt',
    `${file.path} cannot be read: ${reason.slice(0, 300)}. It is cut short, damaged, or of another format; copy it again.`,
    { path: file.file },
    { cause },
  );
}
