/**
 * Files to MDS. The input is cut into parts of neighbouring files, each made into a folder of shards by some thread; in the end one
 * index is laid over all parts of a split, as `merge_index` does, and `convert.json` says what was done. What a part holds depends on the
 * input and the options only, not on threads or interruptions. A run that was killed goes on with the parts that are whole.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DabarexError, fileError, type OnProgress, readJsonFile, writeFileAtomic } from '../../base/index.ts';
import { describeOwner, tryLock } from '../../runs/index.ts';
import { mergeMdsIndexes } from '../../stream/index.ts';
import { findInputs, type InputFormat } from './inputs.ts';
import { isPartMade, type OutputOptions, type PartJob, type Tokenisation } from './part.ts';
import { chooseColumns, type Plan, planConversion } from './plan.ts';
import { makeParts } from './pool.ts';

export interface ConvertOptions extends Partial<OutputOptions> {
  /** which files of a folder; by their names without it */
  readonly format?: InputFormat;
  /** name -> encoding; inferred from the first rows without it */
  readonly columns?: Readonly<Record<string, string>>;
  readonly tokenisation?: Tokenisation;
  readonly threads: number;
  /** neighbouring files go into one part up to this size, and a larger file is a part of its own; default 64 MiB */
  readonly partBytes?: number;
  /** for each thread, of the database that reads Parquet; default 512 MB */
  readonly memoryBytes?: number;
  /** for the lock, ISO 8601 */
  readonly time?: string;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** Also what `convert.json` holds. */
export interface ConversionReport {
  readonly key: string;
  readonly format: InputFormat;
  readonly columns: Readonly<Record<string, string>>;
  readonly splits: readonly {
    /** '' where the input has no splits */
    readonly name: string;
    readonly numFiles: number;
    readonly numParts: number;
    readonly numShards: number;
    readonly numSamples: number;
  }[];
}

const LOCK = '.convert.lock';
const PLAN = '.convert.json';
const REPORT = 'convert.json';

/**
 * Converts `input` (a file or a folder) into the folder `out`.
 * @returns what was made; `reused` where it stood there already
 * @throws run_locked where another process writes `out`; path_unusable where `out` holds something else; data_empty, config_invalid,
 * documents_invalid, sample_invalid and what else is wrong with the input
 */
export async function convertToMds(
  input: string,
  out: string,
  options: ConvertOptions,
): Promise<ConversionReport & { reused: boolean }> {
  const inputs = findInputs(resolve(input), options.format);
  const columns = await chooseColumns(resolve(input), inputs, options);
  const plan = planConversion({ root: resolve(input), out: resolve(out), inputs, columns, options });
  const release = takeOutput(out, options.time);
  try {
    const key = keyOf(plan);
    const finished = readJsonFile<ConversionReport>(join(out, REPORT));
    if (finished?.key === key) return { ...finished, reused: true };
    claim(out, key);
    await makeMissing(plan, options);
    return { ...publish(out, plan, key), reused: false };
  } finally {
    release();
  }
}

/** One process at a time writes a folder. */
function takeOutput(out: string, time: string | undefined): () => void {
  try {
    mkdirSync(out, { recursive: true });
  } catch (error) {
    throw fileError(error, out);
  }
  const path = join(out, LOCK);
  const attempt = tryLock(path, time);
  if (attempt.release) return attempt.release;
  const message = `${out} is being written by ${describeOwner(attempt.owner)}. Wait for it or stop it; if it no longer exists, remove ${path}.`;
  throw new DabarexError('run_locked', message, { path: out });
}

/** Marks the folder as the output of this conversion. @throws path_unusable where it is that of another, or holds something else */
function claim(out: string, key: string): void {
  const path = join(out, PLAN);
  const known = readJsonFile<{ key: string }>(path);
  if (known?.key === key) return;
  const others = readdirSync(out).filter((name) => !name.startsWith(LOCK));
  if (known || others.length > 0) {
    const what = known
      ? 'the result, or a part of it, of a conversion of other files or with other options'
      : 'files that this conversion did not put there';
    throw new DabarexError('path_unusable', `${out} holds ${what}. Choose another folder, or remove it.`, {
      path: out,
    });
  }
  writeFileAtomic(path, `${JSON.stringify({ key })}\n`);
}

async function makeMissing(plan: Plan, { threads, onProgress, signal }: ConvertOptions): Promise<void> {
  const total = plan.parts.reduce((sum, each) => sum + each.inputBytes, 0);
  const bytesOf = new Map<PartJob, number>(plan.parts.map(({ job, inputBytes }) => [job, inputBytes]));
  const missing = plan.parts.filter(({ job }) => !isPartMade(job.dir)).map(({ job }) => job);
  const underWay = new Map<PartJob, number>();
  let finished = total - missing.reduce((sum, job) => sum + bytesOf.get(job)!, 0);
  const report = () => {
    const partly = [...underWay].reduce((sum, [job, bytes]) => sum + Math.min(bytes, bytesOf.get(job)!), 0);
    onProgress?.({ stage: 'convert', done: Math.min(total, finished + partly), total, unit: 'bytes' });
  };
  report();
  await makeParts(missing, {
    threads,
    signal,
    onBytes: (job, count) => {
      underWay.set(job, (underWay.get(job) ?? 0) + count);
      report();
    },
    onDone: (job) => {
      underWay.delete(job);
      finished += bytesOf.get(job)!;
      report();
    },
  });
}

function publish(out: string, plan: Plan, key: string): ConversionReport {
  const splits = plan.splits.map(({ name, numFiles }) => {
    const dir = join(out, name);
    const parts = plan.parts.filter((each) => each.split === name).map(({ job }) => job.dir);
    const { numShards, numSamples } = mergeMdsIndexes(dir, parts);
    return { name, numFiles, numParts: parts.length, numShards, numSamples };
  });
  const report: ConversionReport = { key, format: plan.format, columns: plan.columns, splits };
  writeFileAtomic(join(out, REPORT), `${JSON.stringify(report, null, 2)}\n`);
  return report;
}

function keyOf({ identity }: Plan): string {
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 16);
}
