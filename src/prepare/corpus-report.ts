/** What became of a corpus, as its manifest tells it: by domain and source, and by stage with samples of what was rejected or changed. */
import type { PrepareConfig } from './config.ts';
import type { ManifestFile } from './manifest.ts';
import type { StageManifest } from './pipeline/run-pipeline.ts';
import type { SplitManifest } from './pipeline/run-split.ts';
import type { OpenedSource } from './pipeline/sources.ts';
import { type ChangeSample, type RejectSample, type Size, sumOf, type Tally } from './pipeline/tally.ts';
import { SPLITS, type Split } from './split.ts';
import type { Figures } from './text/stage.ts';

export interface SourceReport {
  readonly url: string;
  readonly integrity: string;
  readonly files: number;
  readonly latin1Files: number;
  /** documents, over all stages */
  readonly rejects: Readonly<Record<string, number>>;
  readonly train: Size;
  readonly heldout: Size;
}

export interface DomainReport {
  readonly train: Size;
  readonly heldout: Size;
  readonly sources: readonly SourceReport[];
}

/** What a stage did to a domain. */
export interface StageCount {
  readonly in: Size;
  readonly out: Size;
  readonly changed: number;
  readonly rejects: Readonly<Record<string, Size>>;
  readonly counts: Readonly<Record<string, number>>;
}

export interface StageReport {
  readonly stage: string;
  readonly version: number;
  readonly config: unknown;
  /** a domain that the stage was not applied to is absent; what comes in to `read` are files, or rows of files */
  readonly domains: Readonly<Record<string, StageCount>>;
  /** a few of those rejected, by reason */
  readonly rejected: Readonly<Record<string, readonly RejectSample[]>>;
  /** a few of those changed */
  readonly changed: readonly ChangeSample[];
  /** what its survey found, of a stage with one: how many pieces go, how well a classifier does */
  readonly figures?: Figures;
}

/** Of `times.json`. */
export interface StageTime {
  readonly stage: string;
  /** of all threads together */
  readonly seconds: number;
}

export interface CorpusManifest {
  readonly key: string;
  readonly codeVersion: number;
  readonly config: Omit<PrepareConfig, 'memory'>;
  readonly domains: Readonly<Record<string, DomainReport>>;
  readonly stages: readonly StageReport[];
  readonly files: readonly ManifestFile[];
}

export function corpusReport(
  config: PrepareConfig,
  sources: readonly OpenedSource[],
  stages: readonly StageManifest[],
  split: SplitManifest,
): Pick<CorpusManifest, 'domains' | 'stages'> {
  const names = Object.keys(config.domains);
  const domains = names.map((name) => {
    const numbers = sources.flatMap(({ domain }, number) => (domain === name ? [number] : []));
    const reports = numbers.map((number) => sourceReport(sources[number]!, number, stages, split));
    return [name, { ...sizesOf(reports), sources: reports }] as const;
  });
  return {
    domains: Object.fromEntries(domains),
    stages: stages.map((stage) => stageReport(stage, names, sources)),
  };
}

function sourceReport(
  { source, integrity }: OpenedSource,
  number: number,
  stages: readonly StageManifest[],
  split: SplitManifest,
): SourceReport {
  const rejects: Record<string, number> = {};
  for (const stage of stages) {
    for (const [reason, { documents }] of Object.entries(stage.sources[number]?.rejects ?? {})) {
      rejects[reason] = (rejects[reason] ?? 0) + documents;
    }
  }
  const counts = stages[0]!.sources[number]?.counts ?? {};
  return {
    url: source.url,
    integrity,
    files: counts.files ?? 0,
    latin1Files: counts.latin1_files ?? 0,
    rejects,
    ...split.sizes[number]!,
  };
}

function sizesOf(reports: readonly SourceReport[]): Record<Split, Size> {
  const sum = (split: Split, unit: keyof Size) =>
    reports.reduce((total, report) => total + report[split][unit], 0);
  const [train, heldout] = SPLITS.map((split) => ({
    documents: sum(split, 'documents'),
    bytes: sum(split, 'bytes'),
  }));
  return { train: train!, heldout: heldout! };
}

function stageReport(
  { stage, version, config, sources: tallies, figures }: StageManifest,
  names: readonly string[],
  sources: readonly OpenedSource[],
): StageReport {
  const tallyOf = (name: string) =>
    sources.flatMap(({ domain }, number) => (domain === name ? (tallies[number] ?? []) : []));
  const domains = names.flatMap((name) => {
    const own = tallyOf(name);
    return own.length > 0 ? [[name, countOf(sumOf(own))] as const] : [];
  });
  const all = sumOf(Object.values(tallies));
  const rejected = Object.entries(all.rejects).map(([reason, { samples }]) => [reason, samples] as const);
  return {
    stage,
    version,
    config,
    domains: Object.fromEntries(domains),
    rejected: Object.fromEntries(rejected),
    changed: all.changes,
    ...(figures && { figures }),
  };
}

function countOf({ in: came, out, changed, rejects, counts }: Tally): StageCount {
  const sizes = Object.entries(rejects).map(([reason, { documents, bytes }]) => [
    reason,
    { documents, bytes },
  ]);
  return { in: came, out, changed, rejects: Object.fromEntries(sizes), counts };
}
