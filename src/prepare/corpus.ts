/**
 * Raw text to clean documents: sources are read into shards, the stages of the pipeline go from shards to shards, the last one splits
 * off held-out documents, and its shards are joined to files, one a domain and split.
 * Result: `{train,heldout}/DOMAIN.jsonl`, the held-out text alone as `heldout/DOMAIN.txt`, `manifest.json`, and `times.json`, which
 * alone hangs on the machine. What stages leave stands in `stages/` beside the documents, so that they need not be done again.
 */
import { join } from 'node:path';
import { DabarexError, type OnProgress, writeFileAtomic } from '../base/index.ts';
import type { NpmOptions, RemoteOptions } from '../storage/index.ts';
import { memoryBytesOf, type PrepareConfig } from './config.ts';
import { type CorpusManifest, corpusReport, type StageTime } from './corpus-report.ts';
import { stageKey } from './manifest.ts';
import { openJobPool } from './pipeline/job-pool.ts';
import { publishCorpus } from './pipeline/publish.ts';
import { type PlannedStage, plannedStage } from './pipeline/registry.ts';
import {
  folderOf,
  keyOfStage,
  type PipelineRun,
  readingKey,
  runReading,
  runStage,
  type StageManifest,
} from './pipeline/run-pipeline.ts';
import { keyOfSplit, runSplit, type SplitManifest } from './pipeline/run-split.ts';
import { type Share, SharedWork } from './pipeline/shares.ts';
import { type OpenedSource, openSource, placesOf } from './pipeline/sources.ts';
import { emptyTally } from './pipeline/tally.ts';
import { makeStage, type StageOptions, stageFolder } from './stage-folder.ts';

/** Raised whenever the same result of the stages gives other files than before. */
const CODE_VERSION = 2;
const ALONE: Share = { task: 0, of: 1 };

export interface PrepareOptions extends StageOptions {
  /** the documents go to `dir/documents`, or by key to a folder in it; what the stages leave to `dir/stages` */
  readonly dir: string;
  readonly cacheDir: string;
  readonly baseDir?: string;
  readonly npm?: NpmOptions;
  /** how `s3:` sources are reached; plain data, for it is sent to threads */
  readonly store?: Omit<RemoteOptions, 'clock' | 'rng'>;
  /** default 1; the result does not hang on it */
  readonly threads?: number;
  /** which part of the work is this process's; default all */
  readonly share?: Share;
  /** milliseconds after which a task without a sign of life is taken for dead */
  readonly silentMs?: number;
  readonly onProgress?: OnProgress;
}

export interface PreparedCorpus {
  readonly documentsDir: string;
  readonly manifest: CorpusManifest;
  /** true where a finished result of the same config and inputs was found and kept */
  readonly reused: boolean;
}

/** All that preparing a corpus needs, and the keys of every stage. */
interface Plan {
  readonly config: PrepareConfig;
  readonly sources: readonly OpenedSource[];
  readonly stages: readonly (PlannedStage & { readonly key: string })[];
  readonly splitKey: string;
  readonly key: string;
}

/**
 * Prepares the corpus, or finds it prepared. The same config and inputs give the same bytes, for any number of threads and tasks. The
 * result's key is of the content of the sources, so a file that changes gives another one.
 * @throws data_empty where a domain keeps nothing; what openSource throws; what {@link makeStage} throws
 */
export async function prepareCorpus(config: PrepareConfig, options: PrepareOptions): Promise<PreparedCorpus> {
  const plan = await planCorpus(config, options);
  const documentsDir = stageFolder(join(options.dir, 'documents'), plan.key, options);
  const share = options.share ?? ALONE;
  // Tasks do the stages together, and one of them the files; alone, nobody else shall begin the same.
  if (share.of > 1 && !options.onlyFinished) await runStages(plan, share, options);
  const made = await makeStage<CorpusManifest>(documentsDir, plan.key, options, async (folder) => {
    const { stages, split } = await runStages(plan, ALONE, options);
    return writeCorpus(plan, stages, split, folder, options);
  });
  return { documentsDir, ...made };
}

async function planCorpus(config: PrepareConfig, options: PrepareOptions): Promise<Plan> {
  const sources: OpenedSource[] = [];
  for (const place of placesOf(config)) sources.push(await openSource(place, options));
  const stages: Plan['stages'][number][] = [];
  let key = readingKey(sources);
  for (const entry of config.pipeline) {
    const planned = plannedStage(entry);
    const surveyed: string[] = [];
    for (const source of planned.stage.survey?.sources?.(planned.config) ?? []) {
      surveyed.push((await openSource({ source, domain: '', index: 0 }, options)).key);
    }
    key = keyOfStage(key, planned, surveyed);
    stages.push({ ...planned, key });
  }
  const splitKey = keyOfSplit(key, sources, config.heldOut);
  return { config, sources, stages, splitKey, key: stageKey({ codeVersion: CODE_VERSION, splitKey }) };
}

async function runStages(
  plan: Plan,
  share: Share,
  options: PrepareOptions,
): Promise<{ stages: StageManifest[]; split: SplitManifest }> {
  const { config, sources } = plan;
  const stagesDir = join(options.dir, 'stages');
  const warn = options.warn ?? (() => undefined);
  const { cacheDir, baseDir, npm, store, signal, onProgress, silentMs } = options;
  const pool = openJobPool({
    threads: options.threads ?? 1,
    memoryBytes: memoryBytesOf(config.memory),
    context: { stagesDir, cacheDir, baseDir, npm, store },
    warn,
    signal,
  });
  const folder = join(stagesDir, folderOf('tasks', plan.key));
  const work = new SharedWork({ share, folder, run: (job) => pool.run(job), warn, signal, silentMs });
  const run: PipelineRun = { stagesDir, work, onProgress, signal };
  try {
    const read = await runReading(sources, run);
    const stages: StageManifest[] = [joined(read, sources)];
    for (const planned of plan.stages) stages.push(await runStage(planned, stages.at(-1)!, sources, run));
    const split = await runSplit(config.heldOut, plan.splitKey, stages.at(-1)!, sources, run);
    return { stages: [...stages, split], split };
  } finally {
    work.close();
    await pool.close();
  }
}

/** What was read of all sources as if by one stage: each source's shards and counts under its number. */
function joined(read: readonly StageManifest[], sources: readonly OpenedSource[]): StageManifest {
  return {
    key: readingKey(sources),
    stage: 'read',
    version: 1,
    config: {},
    input: '',
    shards: read.flatMap(({ shards }, source) => shards.map((shard) => ({ ...shard, source }))),
    sources: Object.fromEntries(read.map(({ sources: own }, source) => [source, own[0] ?? emptyTally()])),
    seconds: Math.round(1000 * read.reduce((sum, { seconds }) => sum + seconds, 0)) / 1000,
  };
}

function writeCorpus(
  plan: Plan,
  stages: readonly StageManifest[],
  split: SplitManifest,
  folder: string,
  options: PrepareOptions,
): CorpusManifest {
  const report = corpusReport(plan.config, plan.sources, stages, split);
  for (const [domain, { train, heldout, sources }] of Object.entries(report.domains)) {
    if (train.bytes > 0 && heldout.bytes > 0) continue;
    const rejects = sources.map((each) => `${each.url}: ${JSON.stringify(each.rejects)}`).join('; ');
    throw new DabarexError(
      'data_empty',
      `The domain "${domain}" keeps ${train.documents} documents to train on and ${heldout.documents} held out; both need at least one. ` +
        `Rejected: ${rejects}. Add text, or loosen data.pipeline.`,
      { domain, train: train.documents, heldout: heldout.documents },
    );
  }
  const files = publishCorpus(plan.sources, split, join(options.dir, 'stages'), folder, options);
  const times: StageTime[] = stages.map(({ stage, seconds }) => ({ stage, seconds }));
  writeFileAtomic(join(folder, 'times.json'), `${JSON.stringify(times, null, 2)}\n`);
  const { memory: _, ...config } = plan.config;
  return { key: plan.key, codeVersion: CODE_VERSION, config, ...report, files };
}
