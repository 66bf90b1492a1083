/**
 * Data sets of users: JSON Lines (`.gz` and `.zst` too) and Parquet, read row by row, so that a file may be larger than memory. A
 * row without text is told as such, with what is wrong with it; whether it may be passed over is for the recipe to say.
 */
import { isUtf8 } from 'node:buffer';
import { DabarexError } from '../../base/index.ts';
import { PARQUET_TEXT, ParquetFile, RowsError, readLines, textOfRow } from '../../stream/index.ts';
import { MAX_DOCUMENT_BYTES } from './shard-file.ts';
import type { UnitFile } from './sources.ts';

const PARQUET_MEMORY_BYTES = 256e6;

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

/** @throws source_too_large for a line beyond {@link MAX_DOCUMENT_BYTES}; source_corrupt for a damaged `.gz` or `.zst` */
export async function* jsonRows(file: UnitFile, { textField }: RowOptions): AsyncGenerator<Row> {
  try {
    for await (const { number, bytes } of readLines(file.file, { maxLineBytes: MAX_DOCUMENT_BYTES })) {
      yield { number, sizeBytes: bytes.length + 1, ...textOf(bytes, textField) };
    }
  } catch (error) {
    throw explained(error, file);
  }
}

function textOf(line: Buffer, textField: string): Pick<Row, 'text' | 'problem' | 'detail'> {
  if (!isUtf8(line)) return { problem: 'invalid_utf8', detail: line.subarray(0, 100).toString('latin1') };
  const row = textOfRow(line.toString('utf8'), textField);
  if ('text' in row) return row;
  if (row.problem === 'invalid_json') return { problem: row.problem, detail: row.detail };
  return { problem: 'no_text', detail: `it ${row.problem === 'no_object' ? 'is' : 'has'} ${row.detail}` };
}

/** @throws config_invalid where there is no such column of text; source_corrupt for a file that is no Parquet or damaged */
export async function* parquetRows(file: UnitFile, { textField, workDir }: RowOptions): AsyncGenerator<Row> {
  const parquet = await ParquetFile.open(file.file, { memoryBytes: PARQUET_MEMORY_BYTES, workDir });
  try {
    const columns = await parquet.columns();
    const found = columns.find(({ name }) => name === textField);
    if (found?.type !== PARQUET_TEXT) {
      const there = columns.map(({ name, type }) => `${name} (${type})`).join(', ');
      const message = `${file.path} has no column of text "${textField}"; it has ${there}. Name the column with textField.`;
      throw new DabarexError('config_invalid', message, { path: file.file, textField });
    }
    let number = 0;
    for await (const texts of parquet.texts(textField)) {
      for (const text of texts) yield rowOf(++number, text);
    }
  } catch (error) {
    throw explained(error, file);
  } finally {
    parquet.close();
  }
}

function rowOf(number: number, text: string | null): Row {
  if (text === null) return { number, sizeBytes: 0, problem: 'no_text', detail: 'null' };
  return { number, sizeBytes: Buffer.byteLength(text), text };
}

function explained(error: unknown, { file, path }: UnitFile): unknown {
  if (!(error instanceof RowsError)) return error;
  const { kind, line, message } = error;
  if (kind === 'line_too_long') {
    const problem = `Line ${line} of ${path} is longer than ${MAX_DOCUMENT_BYTES >> 20} MB, too long for one document`;
    const hint = 'Is the file JSON Lines, one object a line? Split the text over several.';
    return new DabarexError('source_too_large', `${problem}. ${hint}`, { path: file, line });
  }
  return new DabarexError(
    'source_corrupt',
    `${path} cannot be read: ${message}. It is cut short, damaged, or of another format; copy it again.`,
    { path: file },
    { cause: error },
  );
}
