/**
 * What is in text files (JSON Lines, Parquet, texts; packed or not): fields and their types, how long the texts are, tokens, exact duplicates.
 * One pass. A row that cannot be read ends its file, is told, and the other files are read.
 */
import { statSync } from 'node:fs';
import { DabarexError, fileError, type OnProgress } from '../base/index.ts';
import {
  DuplicateFinder,
  type DuplicateReport,
  type Spread,
  SpreadCounter,
  TokenCounter,
  type TokenReport,
} from '../stream/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { formatOfFile, type InputFormat } from './convert/inputs.ts';
import { type Row, readRows } from './convert/rows.ts';

export interface InspectTextsOptions {
  /** the field or column that holds the text; default `text` */
  readonly textField?: string;
  /** by the name of each file without it */
  readonly format?: Exclude<InputFormat, 'mds'>;
  readonly tokenizer?: Tokenizer;
  /** how many of the most frequent tokens are listed; default 20 */
  readonly topTokens?: number;
  /** how many of the first rows are shown; default 3 */
  readonly samples?: number;
  /** of the database that reads Parquet; default 512 MB */
  readonly memoryBytes?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface FieldReport {
  readonly name: string;
  /** how many rows have it, by the type of its value: `text`, `number`, `true or false`, `list`, `mapping`, `bytes`, `time`, `null` */
  readonly types: Readonly<Record<string, number>>;
}

export interface TextInspection {
  readonly files: readonly {
    readonly path: string;
    readonly sizeBytes: number;
    readonly rows: number;
    /** why the rest of it was not read */
    readonly problem?: string;
  }[];
  readonly numRows: number;
  readonly fields: readonly FieldReport[];
  readonly textField: string;
  /** UTF-8 bytes of the texts; count 0 where no row has one */
  readonly textBytes: Spread;
  readonly tokens?: TokenReport;
  readonly duplicates: DuplicateReport;
  readonly samples: readonly { readonly where: string; readonly values: Readonly<Record<string, unknown>> }[];
  readonly numProblems: number;
}

const TURN_ROWS = 256;

/** @throws file_missing and what else the system says of a file; text_invalid where a name tells no format; the reason of `signal` */
export async function inspectTexts(
  files: readonly string[],
  options: InspectTextsOptions = {},
): Promise<TextInspection> {
  const plans = files.map((path) => ({ path, sizeBytes: sizeOf(path), format: formatFor(path, options) }));
  const total = plans.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const inspector = new TextInspector(options);
  const found: TextInspection['files'][number][] = [];
  let done = 0;
  for (const { path, sizeBytes, format } of plans) {
    const before = inspector.numRows;
    const end = done + sizeBytes;
    const onBytes = (count: number) => {
      done = Math.min(end, done + count);
      options.onProgress?.({ stage: 'inspect', done, total, unit: 'bytes' });
    };
    const problem = await inspector.readFile(path, format, onBytes);
    done = end;
    found.push({ path, sizeBytes, rows: inspector.numRows - before, ...(problem && { problem }) });
  }
  options.onProgress?.({ stage: 'inspect', done: total, total, unit: 'bytes' });
  const numProblems = found.filter((each) => each.problem !== undefined).length;
  return { files: found, ...inspector.report(), numProblems };
}

class TextInspector {
  numRows = 0;
  private readonly options: InspectTextsOptions;
  private readonly textField: string;
  private readonly fields = new Map<string, Map<string, number>>();
  private readonly bytes = new SpreadCounter();
  private readonly tokens = new TokenCounter();
  private readonly duplicates: DuplicateFinder;
  private readonly samples: TextInspection['samples'][number][] = [];

  constructor(options: InspectTextsOptions) {
    this.options = options;
    this.textField = options.textField ?? 'text';
    this.duplicates = new DuplicateFinder(this.textField);
  }

  /** @returns what is wrong with it */
  async readFile(
    path: string,
    format: Exclude<InputFormat, 'mds'>,
    onBytes: (count: number) => void,
  ): Promise<string | undefined> {
    const { memoryBytes = 512_000_000, signal } = this.options;
    try {
      for await (const row of readRows(path, format, { root: path, memoryBytes, onBytes })) {
        this.add(row);
        if (this.numRows % TURN_ROWS !== 0) continue;
        await new Promise((turn) => setImmediate(turn));
        signal?.throwIfAborted();
      }
      return undefined;
    } catch (error) {
      const coded = fileError(error, path);
      if (!(coded instanceof DabarexError)) throw error;
      return coded.message;
    }
  }

  report() {
    const { numRows, textField, samples } = this;
    const fields = [...this.fields].map(([name, types]) => ({ name, types: Object.fromEntries(types) }));
    const tokens = this.options.tokenizer && this.tokens.report(this.options.topTokens ?? 20);
    const textBytes = this.bytes.spread;
    return {
      numRows,
      fields,
      textField,
      textBytes,
      ...(tokens && { tokens }),
      duplicates: this.duplicates.report,
      samples,
    };
  }

  private add({ where, values }: Row): void {
    for (const [name, value] of Object.entries(values)) {
      const types = this.fields.get(name) ?? new Map<string, number>();
      this.fields.set(name, types);
      const type = typeOf(value);
      types.set(type, (types.get(type) ?? 0) + 1);
    }
    const text = values[this.textField];
    if (typeof text === 'string') {
      const bytes = Buffer.from(text);
      this.bytes.add(bytes.length);
      this.duplicates.add(this.numRows, [bytes]);
      if (this.options.tokenizer) this.tokens.add(this.options.tokenizer.encode(text));
    }
    if (this.samples.length < (this.options.samples ?? 3)) this.samples.push({ where, values });
    this.numRows++;
  }
}

function typeOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof Date) return 'time';
  switch (typeof value) {
    case 'string':
      return 'text';
    case 'boolean':
      return 'true or false';
    case 'number':
    case 'bigint':
      return 'number';
    default:
      return 'mapping';
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw fileError(error, path);
  }
}

function formatFor(path: string, { format }: InspectTextsOptions): Exclude<InputFormat, 'mds'> {
  const found = format ?? formatOfFile(path);
  if (found) return found;
  const message = `${path}: its name tells no format. Name it .jsonl (.gz, .zst), .parquet, .txt or .md, or say --format.`;
  throw new DabarexError('text_invalid', message, { path });
}
