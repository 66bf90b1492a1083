/**
 * What cannot be read at any place, gzip, zstd and Parquet, is unpacked into JSON Lines in the cache once, under the hash of its content.
 * Limit: the text takes its full size on the disk of the cache.
 */
import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DabarexError, fileError, type OnProgress, syncFolder } from '../base/index.ts';
import { PARQUET_TEXT, ParquetFile } from './rows/parquet.ts';
import { RowsError } from './rows/rows-error.ts';
import { packingOf, unpackedPieces } from './rows/unpacked.ts';
import { contentOf } from './text-stamp.ts';

/** What DuckDB may take of it. */
const PARQUET_MEMORY_BYTES = 512e6;

export interface UnpackOptions {
  readonly cacheDir: string;
  /** the column of a Parquet file that holds the text */
  readonly textField: string;
  /** a file that unpacks to more is refused */
  readonly unpackLimitBytes: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/**
 * The plain file with the content of the file at `path`, packed with gzip or zstd as its name says.
 * @throws file_missing, text_invalid for a broken file or one that grows beyond the limit, disk_full
 */
export async function unpackFile(path: string, options: UnpackOptions): Promise<string> {
  const { sha256, stamp } = await contentOf(path, options.cacheDir, options);
  let done = 0;
  const onBytes = (count: number) => {
    done += count;
    options.onProgress?.({ stage: 'unpack', done, total: stamp.sizeBytes, unit: 'bytes' });
  };
  const what = packingOf(path) === 'gz' ? 'gzip' : 'zstd';
  return unpackInto({ path, what }, sha256, unpackedPieces(path, onBytes), options);
}

/**
 * JSON Lines of the text column of the Parquet file at `path`.
 * @throws file_missing, text_invalid for a broken file, a missing column or one that is no text, a row without text; disk_full
 */
export async function parquetToLines(path: string, options: UnpackOptions): Promise<string> {
  const { sha256 } = await contentOf(path, options.cacheDir, options);
  const name = `${sha256}-${Buffer.from(options.textField).toString('hex').slice(0, 100)}`;
  return unpackInto({ path, what: 'Parquet' }, name, parquetLines(path, options.textField), options);
}

async function* parquetLines(path: string, textField: string): AsyncGenerator<Uint8Array> {
  const parquet = await ParquetFile.open(path, { memoryBytes: PARQUET_MEMORY_BYTES });
  try {
    const columns = await parquet.columns();
    if (!columns.some(({ name, type }) => name === textField && type === PARQUET_TEXT)) {
      const found = columns.map(({ name, type }) => `${name} ${type}`).join(', ');
      const message = `${path} has no text column ${JSON.stringify(textField)}; it has ${found}. Name one of type ${PARQUET_TEXT} as textField.`;
      throw new DabarexError('text_invalid', message, { path });
    }
    let row = 0;
    for await (const texts of parquet.texts(textField)) {
      const missing = texts.indexOf(null);
      if (missing >= 0) throw withoutText(path, row + missing + 1, textField);
      row += texts.length;
      yield Buffer.from(texts.map((text) => `${JSON.stringify({ [textField]: text })}\n`).join(''));
    }
  } finally {
    parquet.close();
  }
}

/** The file `unpacked/NAME.jsonl` with these pieces, written under another name first. */
async function unpackInto(
  { path, what }: { readonly path: string; readonly what: string },
  name: string,
  pieces: AsyncGenerator<Uint8Array>,
  { cacheDir, unpackLimitBytes, signal }: UnpackOptions,
): Promise<string> {
  const place = join(cacheDir, 'unpacked', `${name}.jsonl`);
  if (existsSync(place)) return place;
  const temporary = `${place}.tmp-${process.pid}`;
  try {
    mkdirSync(dirname(place), { recursive: true });
    await pipeline(limited(path, pieces, unpackLimitBytes), createWriteStream(temporary), { signal });
    const file = await open(temporary, 'r+');
    await file.sync().finally(() => file.close());
    renameSync(temporary, place);
    syncFolder(dirname(place));
    return place;
  } catch (error) {
    throw error instanceof RowsError ? broken(path, what, error) : fileError(error, place);
  } finally {
    rmSync(temporary, { force: true });
  }
}

async function* limited(
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  limitBytes: number,
): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const piece of pieces) {
    sizeBytes += piece.length;
    if (sizeBytes > limitBytes) throw tooLarge(path, limitBytes);
    yield piece;
  }
}

function withoutText(path: string, row: number, textField: string): DabarexError {
  const message = `${path}: row ${row} has no ${JSON.stringify(textField)} (NULL). Remove such rows, or name another textField.`;
  return new DabarexError('text_invalid', message, { path, row });
}

function broken(path: string, what: string, cause: RowsError): DabarexError {
  const message = `${path} cannot be read as ${what} (${cause.message}). Is it whole? Copy it again.`;
  return new DabarexError('text_invalid', message, { path }, { cause });
}

function tooLarge(path: string, limitBytes: number): DabarexError {
  const message = `${path} unpacks to more than ${limitBytes} bytes. Raise unpackLimitBytes if it may, or split the file.`;
  return new DabarexError('text_invalid', message, { path, limitBytes });
}
