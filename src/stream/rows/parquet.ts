/**
 * Rows of a Parquet file, in their order, through DuckDB, which is loaded only then: with a limit to its memory, nothing fetched or
 * loaded besides, and temporary files where the caller has room for them.
 */
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { damaged } from './rows-error.ts';

export interface ParquetOptions {
  /** limit of the database's memory */
  readonly memoryBytes: number;
  /** for temporary files; default that of the system */
  readonly workDir?: string;
}

export interface ParquetColumn {
  readonly name: string;
  /** as DuckDB names it: `VARCHAR`, `BIGINT` */
  readonly type: string;
}

/** The type of a column of text. */
export const PARQUET_TEXT = 'VARCHAR';

/** An open file; close it. Its methods @throws RowsError `damaged`. */
export class ParquetFile {
  private readonly instance: DuckDBInstance;
  private readonly connection: DuckDBConnection;
  private readonly table: string;
  private readonly workDir: string;

  private constructor(
    instance: DuckDBInstance,
    connection: DuckDBConnection,
    table: string,
    workDir: string,
  ) {
    this.instance = instance;
    this.connection = connection;
    this.table = table;
    this.workDir = workDir;
  }

  static async open(path: string, { memoryBytes, workDir = tmpdir() }: ParquetOptions): Promise<ParquetFile> {
    const { DuckDBInstance: Database } = await import('@duckdb/node-api');
    const folder = mkdtempSync(join(workDir, 'parquet-'));
    try {
      const instance = await Database.create(':memory:', {
        threads: '1',
        memory_limit: `${Math.ceil(memoryBytes / 1e6)}MB`,
        temp_directory: join(folder, 'spilled'),
        autoinstall_known_extensions: 'false',
        autoload_known_extensions: 'false',
      });
      const table = `read_parquet('${safePath(path, folder).replaceAll("'", "''")}')`;
      return new ParquetFile(instance, await instance.connect(), table, folder);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async columns(): Promise<readonly ParquetColumn[]> {
    try {
      const described = await this.connection.runAndReadAll(`DESCRIBE SELECT * FROM ${this.table}`);
      return described.getRows().map(([name, type]) => ({ name: String(name), type: String(type) }));
    } catch (error) {
      throw damaged(error);
    }
  }

  /** Some rows at a time, values as JavaScript has them. */
  async *rows(): AsyncGenerator<readonly Readonly<Record<string, unknown>>[]> {
    try {
      const result = await this.connection.stream(`SELECT * FROM ${this.table}`);
      yield* result.yieldRowObjectJs();
    } catch (error) {
      throw damaged(error);
    }
  }

  /** Some texts of a column at a time, null where there is none. */
  async *texts(column: string): AsyncGenerator<readonly (string | null)[]> {
    try {
      const name = `"${column.replaceAll('"', '""')}"`;
      const result = await this.connection.stream(`SELECT ${name} FROM ${this.table}`);
      for (let chunk = await result.fetchChunk(); chunk?.rowCount; chunk = await result.fetchChunk()) {
        yield chunk.getColumnValues(0) as (string | null)[];
      }
    } catch (error) {
      throw damaged(error);
    }
  }

  close(): void {
    this.connection.closeSync();
    this.instance.closeSync();
    rmSync(this.workDir, { recursive: true, force: true });
  }
}

/** DuckDB takes brackets and stars in a path for a pattern; such a file is read by a link in `folder`. */
function safePath(path: string, folder: string): string {
  if (!/[*?[\]{}]/.test(path)) return resolve(path);
  const link = join(folder, 'input.parquet');
  symlinkSync(resolve(path), link);
  return link;
}
