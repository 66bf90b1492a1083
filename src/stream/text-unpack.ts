/**
 * What cannot be read at any place, gzip and Parquet, is unpacked into JSON Lines in the cache once, under the hash of its content.
 * Parquet goes through DuckDB, which is loaded only then; rows keep their order.
 * Limit: the text takes its full size on the disk of the cache.
 */
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { DabarexError, fileError, type OnProgress, syncFolder } from '../base/index.ts';
import { contentOf } from './text-stamp.ts';

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
 * The plain file with the content of the gzip file at `path`.
 * @throws file_missing, text_invalid for a broken file or one that grows beyond the limit, disk_full
 */
export async function gunzipFile(path: string, options: UnpackOptions): Promise<string> {
  const { signal, onProgress, unpackLimitBytes } = options;
  const { sha256, stamp } = await contentOf(path, options.cacheDir, options);
  return unpackInto(join(options.cacheDir, 'unpacked', sha256), async (temporary) => {
    let size = 0;
    const counted = new Transform({
      transform(chunk: Buffer, _, done) {
        size += chunk.length;
        onProgress?.({ stage: 'unpack', done: input.bytesRead, total: stamp.sizeBytes, unit: 'bytes' });
        done(size > unpackLimitBytes ? tooLarge(path, unpackLimitBytes) : null, chunk);
      },
    });
    const input = createReadStream(path, { highWaterMark: 1 << 18 });
    try {
      await pipeline(input, createGunzip(), counted, createWriteStream(temporary), { signal });
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      throw code.startsWith('Z_') ? broken(path, 'gzip', error) : error;
    }
  });
}

/**
 * JSON Lines of the text column of the Parquet file at `path`.
 * @throws file_missing, text_invalid for a broken file, a missing column or one that is no text, a row without text; disk_full
 */
export async function parquetToLines(path: string, options: UnpackOptions): Promise<string> {
  const { textField, unpackLimitBytes } = options;
  const { sha256 } = await contentOf(path, options.cacheDir, options);
  const name = `${sha256}-${Buffer.from(textField).toString('hex').slice(0, 100)}`;
  return unpackInto(join(options.cacheDir, 'unpacked', name), async (temporary) => {
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    try {
      const source = `read_parquet(${quoted(path)})`;
      await requireTextColumn(connection, source, path, textField);
      const column = `"${textField.replaceAll('"', '""')}"`;
      await connection.run(`COPY (SELECT ${column} FROM ${source}) TO ${quoted(temporary)} (FORMAT json)`);
    } catch (error) {
      throw error instanceof DabarexError
        ? error
        : (diskError(error, temporary) ?? broken(path, 'Parquet', error));
    } finally {
      connection.closeSync();
    }
    if (statSync(temporary).size > unpackLimitBytes) throw tooLarge(path, unpackLimitBytes);
  });
}

interface Connection {
  runAndReadAll(sql: string): Promise<{ getRowObjects(): Record<string, unknown>[] }>;
}

async function requireTextColumn(
  connection: Connection,
  source: string,
  path: string,
  textField: string,
): Promise<void> {
  const described = await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`);
  const columns = described.getRowObjects().map((row) => [String(row.column_name), String(row.column_type)]);
  const column = columns.find(([name]) => name === textField);
  if (column?.[1] !== 'VARCHAR') {
    const found = columns.map(([name, type]) => `${name} ${type}`).join(', ');
    const message = `${path} has no text column ${JSON.stringify(textField)}; it has ${found}. Name one of type VARCHAR as textField.`;
    throw new DabarexError('text_invalid', message, { path });
  }
  const sql = `SELECT count(*) AS n FROM ${source} WHERE "${textField.replaceAll('"', '""')}" IS NULL`;
  const [row] = (await connection.runAndReadAll(sql)).getRowObjects();
  const missing = Number(row?.n);
  if (missing === 0) return;
  const message = `${path}: ${missing} rows have no ${JSON.stringify(textField)} (NULL). Remove them, or name another textField.`;
  throw new DabarexError('text_invalid', message, { path });
}

/** The file at `place`, written by `make` under another name first. */
async function unpackInto(place: string, make: (temporary: string) => Promise<void>): Promise<string> {
  const path = `${place}.jsonl`;
  if (existsSync(path)) return path;
  const temporary = `${path}.tmp-${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    await make(temporary);
    const file = await open(temporary, 'r+');
    await file.sync().finally(() => file.close());
    renameSync(temporary, path);
    syncFolder(dirname(path));
    return path;
  } catch (error) {
    throw fileError(error, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function quoted(path: string): string {
  return `'${path.replaceAll("'", "''")}'`;
}

function broken(path: string, what: string, cause: unknown): DabarexError {
  const reason = (cause as Error).message.split('\n')[0];
  const message = `${path} cannot be read as ${what} (${reason}). Is it whole? Copy it again.`;
  return new DabarexError('text_invalid', message, { path }, { cause });
}

function tooLarge(path: string, limitBytes: number): DabarexError {
  const message = `${path} unpacks to more than ${limitBytes} bytes. Raise unpackLimitBytes if it may, or split the file.`;
  return new DabarexError('text_invalid', message, { path, limitBytes });
}

/** What the database says of a disk that is full, as the system would. */
function diskError(error: unknown, path: string): unknown {
  const { message } = error as Error;
  const said = /(No space left on device)|(Disk quota exceeded)|(File too large)/.exec(message);
  if (!said) return undefined;
  const code = said[1] ? 'ENOSPC' : said[2] ? 'EDQUOT' : 'EFBIG';
  return fileError(Object.assign(new Error(message, { cause: error }), { code, syscall: 'write' }), path);
}
