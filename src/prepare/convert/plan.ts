/** What a conversion will do: its columns, and the parts its input is cut into. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DabarexError, fileError } from '../../base/index.ts';
import { MdsReader } from '../../stream/index.ts';
import { type Columns, INFERENCE_ROWS, inferColumns } from './columns.ts';
import type { ConvertOptions } from './convert.ts';
import type { InputFile, InputFormat, Inputs } from './inputs.ts';
import { outputColumns, type PartJob } from './part.ts';
import { type Row, readRows } from './rows.ts';

export interface PlannedPart {
  readonly split: string;
  readonly job: PartJob;
  readonly inputBytes: number;
}

export interface Plan {
  readonly format: InputFormat;
  /** of the shards */
  readonly columns: Columns;
  readonly splits: readonly { readonly name: string; readonly numFiles: number }[];
  readonly parts: readonly PlannedPart[];
  /** what the result depends on: two plans with the same give the same shards */
  readonly identity: unknown;
}

const DEFAULT_PART_BYTES = 1 << 26;
const DEFAULT_MEMORY_BYTES = 512_000_000;
/** Raised when the same input and options give other shards. */
const VERSION = 1;

/** The columns that are read: as given, those of an MDS data set, or inferred from the first rows of the first file. */
export async function chooseColumns(root: string, inputs: Inputs, options: ConvertOptions): Promise<Columns> {
  if (inputs.format === 'mds') return mdsColumns(root, options.columns);
  if (options.tokenisation) return {};
  if (options.columns) return options.columns;
  const first = inputs.splits[0]!.files[0]!.path;
  const rows: Row[] = [];
  const rowOptions = { root, memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES, onBytes: () => {} };
  for await (const row of readRows(first, inputs.format, rowOptions)) {
    rows.push(row);
    if (rows.length === INFERENCE_ROWS) break;
  }
  return inferColumns(rows, first);
}

function mdsColumns(root: string, wanted: Columns | undefined): Columns {
  const reader = new MdsReader(root, { files: 'arriving' });
  const all = Object.fromEntries(reader.columns.map(({ name, encoding }) => [name, encoding]));
  for (const [name, encoding] of Object.entries(wanted ?? {})) {
    if (all[name] === encoding) continue;
    const message = `${root} has no column ${name}=${encoding}: values go from MDS to MDS as they are. It has ${Object.entries(
      all,
    )
      .map((each) => each.join('='))
      .join(', ')}.`;
    throw new DabarexError('config_invalid', message, { path: root, name });
  }
  return wanted ?? all;
}

export interface PlanInput {
  readonly root: string;
  readonly out: string;
  readonly inputs: Inputs;
  readonly columns: Columns;
  readonly options: ConvertOptions;
}

export function planConversion({ root, out, inputs, columns, options }: PlanInput): Plan {
  const { tokenisation, memoryBytes = DEFAULT_MEMORY_BYTES, partBytes = DEFAULT_PART_BYTES } = options;
  const output = {
    sizeLimit: options.sizeLimit ?? 1 << 26,
    hashes: options.hashes ?? ['sha256'],
    compression: options.compression ?? null,
  };
  const shared = { root, format: inputs.format, columns, tokenisation, output, memoryBytes };
  const parts = inputs.splits.flatMap(({ name, files }) =>
    (inputs.format === 'mds' ? sampleRanges(root, partBytes) : groups(files, partBytes)).map(
      (group, i): PlannedPart => {
        const dir = join(out, name, `part-${String(i).padStart(5, '0')}`);
        return { split: name, job: { ...shared, dir, ...group.work }, inputBytes: group.bytes };
      },
    ),
  );
  const identity = {
    version: VERSION,
    format: inputs.format,
    files: inputs.splits.map(({ name, files }) => [name, files]),
    columns,
    output,
    partBytes,
    tokenisation: tokenisation && { ...tokenisation, tokenizer: hashOf(tokenisation.tokenizer) },
  };
  return {
    format: inputs.format,
    columns: outputColumns({ columns, tokenisation }),
    splits: inputs.splits.map(({ name, files }) => ({ name, numFiles: files.length })),
    parts,
    identity,
  };
}

interface Group {
  readonly work: Pick<PartJob, 'files' | 'samples'>;
  readonly bytes: number;
}

function groups(files: readonly InputFile[], partBytes: number): Group[] {
  const made: { files: string[]; bytes: number }[] = [];
  for (const { path, sizeBytes } of files) {
    const last = made.at(-1);
    if (last && last.bytes + sizeBytes <= partBytes) {
      last.files.push(path);
      last.bytes += sizeBytes;
    } else made.push({ files: [path], bytes: sizeBytes });
  }
  return made.map(({ files: paths, bytes }) => ({ work: { files: paths }, bytes }));
}

/** Whole shards of the input, in turn. */
function sampleRanges(root: string, partBytes: number): Group[] {
  const reader = new MdsReader(root, { files: 'arriving' });
  const made: Group[] = [];
  let first = 0;
  let end = 0;
  let bytes = 0;
  for (const [shard, samples] of reader.shardSizes.entries()) {
    const { sizeBytes } = reader.shardFile(shard);
    if (bytes > 0 && bytes + sizeBytes > partBytes) {
      made.push({ work: { files: [], samples: [first, end] }, bytes });
      first = end;
      bytes = 0;
    }
    end += samples;
    bytes += sizeBytes;
  }
  return [...made, { work: { files: [], samples: [first, end] }, bytes }];
}

function hashOf(path: string): string {
  try {
    return `${basename(path)}:${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
  } catch (error) {
    throw fileError(error, path);
  }
}
