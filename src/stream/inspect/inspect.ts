/**
 * What is in an MDS data set and whether it is whole: one pass over all files and samples, or those of some shards. Damage does not end it:
 * what is wrong with a shard or a sample is noted and the rest is read.
 */
import { setImmediate } from 'node:timers/promises';
import { DabarexError, type OnProgress } from '../../base/index.ts';
import { type MdsShardEntry, readMdsIndex } from '../mds-index.ts';
import { MdsReader } from '../mds-reader.ts';
import { checkShardFiles, type ShardHealth } from './health.ts';
import {
  DuplicateFinder,
  type DuplicateReport,
  type Spread,
  SpreadCounter,
  TokenCounter,
  type TokenReport,
} from './statistics.ts';

export interface InspectOptions {
  /** how many samples are shown, spread over the whole; default 3 */
  readonly samples?: number;
  /** how many of the most frequent tokens are listed; default 20 */
  readonly topTokens?: number;
  /** how many shards are read, spread over the whole; default all */
  readonly shards?: number;
  /** makes the file of a shard be there, until it is released; default: it is */
  readonly arrive?: (reader: MdsReader, shard: number) => Promise<{ release(): void }>;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface ColumnReport {
  readonly name: string;
  readonly encoding: string;
  /** sizes of its values */
  readonly bytes: Spread;
  /** of a column of one-dimensional arrays of integers that may be tokens */
  readonly tokens?: TokenReport;
}

export interface Inspection {
  readonly dir: string;
  readonly numSamples: number;
  readonly numShards: number;
  readonly rawBytes: number;
  /** bytes of the files */
  readonly fileBytes: number;
  readonly compression: string | null;
  readonly columns: readonly ColumnReport[];
  readonly samples: readonly { readonly index: number; readonly values: Readonly<Record<string, unknown>> }[];
  readonly duplicates: DuplicateReport;
  /** those that were read */
  readonly shards: readonly ShardHealth[];
  /** over these */
  readonly numProblems: number;
}

/** Problems told of the samples of one shard; further ones are counted. */
const MAX_SAMPLE_PROBLEMS = 20;
const TURN_SAMPLES = 4096;
/** Of a shard that could not be had, but others may. */
const LOST = ['object_missing', 'object_corrupt', 'object_changed'];

/** @throws shard_index_invalid, shard_encoding_unsafe: where there is nothing to go by; what `arrive` throws; the reason of `signal` */
export async function inspectMds(dir: string, options: InspectOptions = {}): Promise<Inspection> {
  const entries = readMdsIndex(dir);
  const numbers = spread(entries.length, options.shards ?? entries.length);
  const inspector = new Inspector(dir, entries, numbers, options);
  const bytesOf = (picked: readonly MdsShardEntry[]) =>
    picked.reduce((sum, each) => sum + each.raw_data.bytes, 0);
  const total = bytesOf(numbers.map((number) => entries[number]!));
  const shards: ShardHealth[] = [];
  let done = 0;
  for (const number of numbers) {
    shards.push(await inspector.inspectShard(number));
    done += entries[number]!.raw_data.bytes;
    options.onProgress?.({ stage: 'inspect', done, total, unit: 'bytes' });
  }
  const numProblems = shards.reduce((sum, each) => sum + each.problems.length, 0);
  const fileBytes = entries.reduce((sum, each) => sum + (each.zip_data ?? each.raw_data).bytes, 0);
  const sizes = { numShards: entries.length, rawBytes: bytesOf(entries), fileBytes };
  return { ...inspector.report(), ...sizes, shards, numProblems };
}

/** `count` of 0 to n - 1, evenly. */
function spread(n: number, count: number): number[] {
  const wanted = Math.min(n, Math.max(1, count));
  return Array.from({ length: wanted }, (_, i) => Math.floor((i * n) / wanted));
}

class Inspector {
  private readonly reader: MdsReader;
  private readonly entries: readonly MdsShardEntry[];
  private readonly options: InspectOptions;
  private readonly sizes = new Map<string, SpreadCounter>();
  private readonly tokens = new Map<string, TokenCounter>();
  private readonly compared: string | null;
  private readonly duplicates: DuplicateFinder;
  private readonly samples: { index: number; values: Record<string, unknown> }[] = [];
  private readonly shownEvery: number;
  /** number of each shard's first sample */
  private readonly firstSample: number[] = [];
  private readSamples = 0;

  constructor(
    dir: string,
    entries: readonly MdsShardEntry[],
    numbers: readonly number[],
    options: InspectOptions,
  ) {
    this.reader = new MdsReader(dir, { files: 'arriving', verify: 'size' });
    this.entries = entries;
    this.options = options;
    const names = this.reader.columns.map((each) => each.name);
    // Samples with a number or a source of their own are never equal as a whole.
    this.compared = ['tokens', 'text'].find((name) => names.includes(name)) ?? null;
    this.duplicates = new DuplicateFinder(this.compared);
    let first = 0;
    for (const { samples } of entries) {
      this.firstSample.push(first);
      first += samples;
    }
    const numRead = numbers.reduce((sum, number) => sum + entries[number]!.samples, 0);
    this.shownEvery = Math.max(1, Math.floor(numRead / (options.samples ?? 3)));
  }

  /** Reads a shard that is here, or comes. @throws what is no fault of the shard */
  async inspectShard(number: number): Promise<ShardHealth> {
    const entry = this.entries[number]!;
    const { dir } = this.reader;
    let held: { release(): void } | undefined;
    try {
      held = await this.options.arrive?.(this.reader, number);
    } catch (error) {
      if (!(error instanceof DabarexError) || !LOST.includes(error.code)) throw error;
      const { raw_data: raw, zip_data: zip, samples } = entry;
      const sizes = { samples, rawBytes: raw.bytes, zipBytes: zip?.bytes ?? null };
      return { basename: (zip ?? raw).basename, ...sizes, hashes: [], problems: [error.message] };
    }
    try {
      const health = checkShardFiles(dir, entry);
      return { ...health, problems: [...health.problems, ...(await this.readShard(number))] };
    } finally {
      this.reader.forget(number);
      held?.release();
    }
  }

  /** @returns what is wrong with its samples */
  private async readShard(number: number): Promise<string[]> {
    const problems: string[] = [];
    const first = this.firstSample[number]!;
    const end = first + this.entries[number]!.samples;
    if (!this.attempt(problems, () => this.reader.verifyShard(number))) return problems;
    let numDamaged = 0;
    for (let index = first; index < end; index++) {
      const told = numDamaged < MAX_SAMPLE_PROBLEMS ? problems : [];
      if (!this.attempt(told, () => this.readSample(index))) numDamaged++;
      if (index % TURN_SAMPLES === 0) await this.turn();
    }
    const more = numDamaged - MAX_SAMPLE_PROBLEMS;
    if (more > 0) problems.push(`${more} more samples are damaged`);
    await this.turn();
    return problems;
  }

  report() {
    const { reader, options } = this;
    const columns = reader.columns.map(({ name, encoding }): ColumnReport => {
      const tokens = this.tokens.get(name)?.report(options.topTokens ?? 20);
      const bytes = (this.sizes.get(name) ?? new SpreadCounter()).spread;
      return { name, encoding, bytes, ...(tokens && { tokens }) };
    });
    return {
      dir: reader.dir,
      numSamples: reader.numSamples,
      compression: this.entries[0]?.compression ?? null,
      columns,
      samples: this.samples,
      duplicates: this.duplicates.report,
    };
  }

  private readSample(index: number): void {
    const values = this.reader.read(index);
    const raw = this.reader.readRaw(index);
    for (const [name, bytes] of Object.entries(raw)) {
      counterOf(this.sizes, name, () => new SpreadCounter()).add(bytes.length);
      const value = values[name];
      if (isIntegers(value)) counterOf(this.tokens, name, () => new TokenCounter()).add(value);
    }
    const column = this.compared === null ? undefined : raw[this.compared];
    this.duplicates.add(index, column ? [column] : Object.values(raw));
    const shown = this.options.samples ?? 3;
    if (this.readSamples++ % this.shownEvery === 0 && this.samples.length < shown)
      this.samples.push({ index, values });
  }

  /** Notes a coded error as a problem. @returns whether there was none */
  private attempt(problems: string[], work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (!(error instanceof DabarexError)) throw error;
      problems.push(error.message);
      return false;
    }
  }

  /** Lets signals in. */
  private async turn(): Promise<void> {
    await setImmediate();
    this.options.signal?.throwIfAborted();
  }
}

function isIntegers(value: unknown): value is Int32Array | Uint32Array | Uint16Array {
  return value instanceof Int32Array || value instanceof Uint32Array || value instanceof Uint16Array;
}

function counterOf<T>(counters: Map<string, T>, name: string, make: () => T): T {
  const known = counters.get(name);
  if (known) return known;
  const made = make();
  counters.set(name, made);
  return made;
}
