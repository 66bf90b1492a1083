/**
 * The work that threads do, as plain data: read a unit, look at a shard for a survey, sum a survey up, apply a stage to a shard,
 * and the two halves of the split. Each writes its files, the receipt last, and is the same whoever does it.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { NpmOptions, RemoteOptions } from '../../storage/index.ts';
import type { Document } from '../documents.ts';
import type { SourceConfig } from '../source-config.ts';
import type { Figures, Outcome, Transform } from '../text/stage.ts';
import { type ReadOptions, type ReadResult, readUnit, unitDocuments } from './read-unit.ts';
import { stageNamed } from './registry.ts';
import { publishFile, readShard, type Shard, writeShard } from './shard-file.ts';
import { openSource, type ReadUnit } from './sources.ts';
import { cutShard, measureShard, type SplitPlan } from './split-stage.ts';
import { addChange, addCounts, addReject, addSize, emptyTally, type Tally } from './tally.ts';

const DOCUMENTS_BETWEEN_PAUSES = 64;

/** What is the same for all jobs of a call. */
export interface JobContext {
  /** the folder of all stages; paths of jobs are within it */
  readonly stagesDir: string;
  readonly cacheDir: string;
  readonly baseDir?: string;
  readonly npm?: NpmOptions;
  readonly store?: RemoteOptions;
  /** what a survey may use when it is summed up */
  readonly mergeBytes: number;
}

export type Job =
  | { readonly kind: 'read'; readonly unit: ReadUnit; readonly name: string }
  | {
      readonly kind: 'map';
      readonly stage: string;
      readonly config: unknown;
      readonly shard: Shard;
      readonly part: string;
    }
  | {
      readonly kind: 'merge';
      readonly stage: string;
      readonly config: unknown;
      readonly parts: readonly string[];
      readonly summary: string;
    }
  | {
      readonly kind: 'apply';
      readonly stage: string;
      readonly config: unknown;
      readonly summary?: string;
      readonly shard: Shard;
      /** the shard's number among those that the stage is applied to */
      readonly number: number;
      readonly name: string;
    }
  | { readonly kind: 'measure'; readonly shard: Shard; readonly part: string }
  | {
      readonly kind: 'cut';
      readonly shard: Shard;
      readonly number: number;
      readonly plan: SplitPlan;
      readonly name: string;
    };

type JobOf<Kind extends Job['kind']> = Extract<Job, { readonly kind: Kind }>;
type Warn = (message: string) => void;

/** The receipt of `read`, `NAME.json`. */
export interface ReadReceipt extends ReadResult {
  readonly seconds: number;
}

/** The receipt of `merge`, `SUMMARY.json`. */
export interface SummaryReceipt {
  /** what the stage's survey says of its summary, if it says anything */
  readonly figures?: Figures;
}

/** The receipt of `apply`, `NAME.json`. */
export interface ApplyReceipt {
  /** absent where nothing was kept; that of the input where nothing was changed */
  readonly shard?: Shard;
  readonly tally: Tally;
  readonly seconds: number;
}

/** Does jobs one after another; made once per thread, it keeps the functions of stages between jobs. */
export class JobRunner {
  private readonly context: JobContext;
  private readonly signal?: AbortSignal;
  private made: { key: string; transform: Transform } | undefined;

  constructor(context: JobContext, signal?: AbortSignal) {
    this.context = context;
    this.signal = signal;
  }

  async run(job: Job, warn: Warn): Promise<void> {
    switch (job.kind) {
      case 'read':
        return this.read(job, warn);
      case 'map':
        return this.map(job);
      case 'merge':
        return this.merge(job, warn);
      case 'apply':
        return this.apply(job);
      case 'measure':
        return this.publish(job.part, measureShard(this.context.stagesDir, job.shard));
      case 'cut':
        return this.publishReceipt(job.name, performance.now(), cutShard(this.context.stagesDir, job));
    }
  }

  private async read({ unit, name }: JobOf<'read'>, warn: Warn): Promise<void> {
    const started = performance.now();
    await this.inWorkDir(name, async (workDir) => {
      const result = await readUnit(unit, name, { ...this.readOptions(warn), workDir });
      this.publishReceipt(name, started, result);
    });
  }

  private async map({ stage, config, shard, part }: JobOf<'map'>): Promise<void> {
    const documents = readShard(this.context.stagesDir, shard);
    this.publish(part, await stageNamed(stage).survey!.map!(documents, config));
  }

  private async merge({ stage, config, parts, summary }: JobOf<'merge'>, warn: Warn): Promise<void> {
    const survey = stageNamed(stage).survey!;
    await this.inWorkDir(summary, async (workDir) => {
      const sources = (survey.sources?.(config) ?? []).map((source) =>
        this.documentsOf(source, { ...this.readOptions(warn), workDir }),
      );
      const bytes = await survey.merge(
        parts.map((part) => join(this.context.stagesDir, part)),
        config,
        { memoryBytes: this.context.mergeBytes, workDir, sources, signal: this.signal },
      );
      this.publish(summary, bytes);
      const receipt: SummaryReceipt = { figures: survey.describe?.(bytes) };
      this.publish(`${summary}.json`, JSON.stringify(receipt));
    });
  }

  private async *documentsOf(
    source: SourceConfig,
    options: Omit<ReadOptions, 'stagesDir'>,
  ): AsyncGenerator<Document> {
    const opened = await openSource({ source, domain: '', index: 0 }, options);
    for (const unit of opened.units) yield* unitDocuments(unit, emptyTally(), options);
  }

  private async apply(job: JobOf<'apply'>): Promise<void> {
    const started = performance.now();
    const { stagesDir } = this.context;
    const { shard, number, name } = job;
    const transform = this.transformOf(job);
    const tally = emptyTally();
    const kept: Document[] = [];
    let index = 0;
    let isSame = true;
    for (const document of readShard(stagesDir, shard)) {
      const outcome = await transform(document, { shard: number, index });
      const after = take(outcome, document, tally);
      if (after) kept.push(after);
      isSame &&= after === document;
      if (++index % DOCUMENTS_BETWEEN_PAUSES === 0) await this.pause();
    }
    const result = isSame ? shard : this.write(`${name}.jsonl.br`, kept, shard.source);
    this.publishReceipt(name, started, { shard: result, tally });
  }

  private transformOf({ stage, config, summary }: JobOf<'apply'>): Transform {
    const key = JSON.stringify([stage, config, summary]);
    if (this.made?.key !== key) {
      const bytes = summary === undefined ? undefined : readFileSync(join(this.context.stagesDir, summary));
      this.made = { key, transform: stageNamed(stage).create(config, bytes) };
    }
    return this.made.transform;
  }

  private write(path: string, documents: readonly Document[], source: number): Shard | undefined {
    if (documents.length === 0) return undefined;
    return writeShard(this.context.stagesDir, path, documents, source);
  }

  /** Lets timers and an interruption have their turn. */
  private async pause(): Promise<void> {
    await new Promise(setImmediate);
    this.signal?.throwIfAborted();
  }

  private async inWorkDir(name: string, work: (dir: string) => Promise<void>): Promise<void> {
    const folder = join(this.context.stagesDir, dirname(name));
    mkdirSync(folder, { recursive: true });
    const workDir = mkdtempSync(join(folder, `work.tmp-${hostname()}-${process.pid}-`));
    try {
      await work(workDir);
    } finally {
      rmSync(workDir, { recursive: true, force: true });
    }
  }

  private readOptions(warn: Warn) {
    const { context, signal } = this;
    return { ...context, warn, signal };
  }

  private publish(path: string, bytes: Uint8Array | string): void {
    publishFile(join(this.context.stagesDir, path), bytes);
  }

  private publishReceipt(name: string, startedMs: number, result: object): void {
    const seconds = Math.round(performance.now() - startedMs) / 1000;
    this.publish(`${name}.json`, JSON.stringify({ ...result, seconds }));
  }
}

/** The document that an outcome keeps, if any; counts what became of it. */
function take(outcome: Outcome, document: Document, tally: Tally): Document | undefined {
  addSize(tally.in, document.text);
  if (outcome.counts) addCounts(tally, outcome.counts);
  if ('reject' in outcome) {
    addReject(tally, outcome.reject, document, outcome.detail);
    return undefined;
  }
  if (outcome.keep.text !== document.text) addChange(tally, document, outcome.keep);
  addSize(tally.out, outcome.keep.text);
  return outcome.keep;
}
