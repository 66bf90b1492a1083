/**
 * One part of a conversion: some neighbouring input files to one folder of shards. A part depends on nothing but its job, so it comes out
 * the same on whatever thread and after whatever interruption; its folder appears when it is whole.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DabarexError, fileError, syncFolder } from '../../base/index.ts';
import { MdsReader, MdsWriter } from '../../stream/index.ts';
import { loadTokenizer, type Tokenizer } from '../../tokenizer/index.ts';
import { SampleCutter } from '../sample-cutter.ts';
import { type Columns, toSample } from './columns.ts';
import type { InputFormat } from './inputs.ts';
import { type Row, type RowOptions, readRows } from './rows.ts';

/** How texts become tokens. */
export interface Tokenisation {
  /** a tokenizer.json */
  readonly tokenizer: string;
  /** the column that holds the text */
  readonly textColumn: string;
  /** tokens a sequence; without it each document is a sample */
  readonly sequenceLength?: number;
}

export interface PartJob {
  /** the folder to make */
  readonly dir: string;
  readonly root: string;
  readonly format: InputFormat;
  readonly files: readonly string[];
  /** of an MDS data set: the first sample and the one after the last */
  readonly samples?: readonly [number, number];
  readonly columns: Columns;
  readonly tokenisation?: Tokenisation;
  readonly output: OutputOptions;
  readonly memoryBytes: number;
}

export interface OutputOptions {
  readonly sizeLimit: number;
  readonly hashes: readonly string[];
  readonly compression: string | null;
}

/** Whether a part stands there whole. */
export function isPartMade(dir: string): boolean {
  return existsSync(join(dir, 'index.json'));
}

/** Makes a part. @throws documents_invalid, sample_invalid and what else is wrong with the input; what files throw */
export async function makePart(job: PartJob, onBytes: (count: number) => void): Promise<void> {
  const temporary = `${job.dir}.tmp`;
  rmSync(temporary, { recursive: true, force: true });
  try {
    const writer = new MdsWriter({ dir: temporary, columns: outputColumns(job), ...job.output });
    const sink = job.tokenisation ? tokenSink(writer, job.tokenisation) : undefined;
    if (job.format === 'mds') copySamples(job, writer, sink, onBytes);
    else await writeRows(job, writer, sink, onBytes);
    writer.finish();
    renameSync(temporary, job.dir);
    syncFolder(dirname(job.dir));
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw fileError(error, job.dir);
  }
}

/** What the shards of a job hold. */
export function outputColumns({ columns, tokenisation }: Pick<PartJob, 'columns' | 'tokenisation'>): Columns {
  return tokenisation ? { tokens: 'ndarray:int32' } : columns;
}

type Sink = (text: unknown, where: string) => void;

async function writeRows(
  { files, format, root, memoryBytes, columns, tokenisation }: PartJob,
  writer: MdsWriter,
  sink: Sink | undefined,
  onBytes: (count: number) => void,
): Promise<void> {
  const options: RowOptions = { root, memoryBytes, onBytes };
  for (const file of files) {
    for await (const row of readRows(file, format as 'jsonl', options)) {
      if (sink) sink(row.values[tokenisation!.textColumn], row.where);
      else writeRow(row, columns, writer);
    }
  }
}

function writeRow(row: Row, columns: Columns, writer: MdsWriter): void {
  try {
    writer.write(toSample(row, columns));
  } catch (error) {
    if (!(error instanceof DabarexError) || error.code !== 'sample_invalid') throw error;
    const hint = 'Columns are inferred from the first rows; say otherwise with --columns name=json.';
    throw new DabarexError('sample_invalid', `${row.where}: ${error.message} ${hint}`, error.fields, {
      cause: error,
    });
  }
}

/** Values go from shard to shard as they are, without being decoded. */
function copySamples(
  { root, samples, columns, tokenisation }: PartJob,
  writer: MdsWriter,
  sink: Sink | undefined,
  onBytes: (count: number) => void,
): void {
  const reader = new MdsReader(root, { files: 'arriving' });
  const names = Object.keys(columns);
  try {
    for (let index = samples![0]; index < samples![1]; index++) {
      const raw = reader.readRaw(index);
      onBytes(names.reduce((sum, name) => sum + (raw[name]?.length ?? 0), 0));
      if (sink) sink(reader.read(index)[tokenisation!.textColumn], `${root}: sample ${index}`);
      else writer.writeRaw(raw);
    }
  } finally {
    reader.close();
  }
}

function tokenSink(writer: MdsWriter, { tokenizer: path, textColumn, sequenceLength }: Tokenisation): Sink {
  const tokenizer = loadTokenizer(path);
  const cutter =
    sequenceLength === undefined
      ? undefined
      : new SampleCutter(sequenceLength + 1, (tokens) => writer.write({ tokens }));
  return (text, where) => {
    if (typeof text !== 'string') {
      const message = `${where} has no text in "${textColumn}". Name the column with --text-column.`;
      throw new DabarexError('documents_invalid', message, { where, column: textColumn });
    }
    const tokens = documentTokens(tokenizer, text);
    if (cutter) cutter.push(tokens);
    else writer.write({ tokens });
  };
}

function documentTokens(tokenizer: Tokenizer, text: string): Int32Array {
  const tokens = tokenizer.encode(text);
  const document = new Int32Array(tokens.length + 1);
  document.set(tokens);
  document[tokens.length] = tokenizer.endOfTextId;
  return document;
}
