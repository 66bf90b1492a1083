/**
 * From sources to train and held-out shards: read, every stage of the pipeline in order, split. Each leaves a folder
 * `NAME-KEY` beside the others, its manifest last; KEY is the hash of what it depends on, the key of the stage before it included,
 * so a stage that is there is passed over, and a setting that changes makes only what follows anew. A stage that was
 * cut short goes on at the first shard without a receipt.
 */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isProcess, type OnProgress, readJsonFile } from '../../base/index.ts';
import { stageKey } from '../manifest.ts';
import type { Split } from '../split.ts';
import type { Figures } from '../text/stage.ts';
import type { ApplyReceipt, Job, ReadReceipt, SummaryReceipt } from './jobs.ts';
import type { PlannedStage } from './registry.ts';
import { publishFile, type Shard } from './shard-file.ts';
import type { SharedWork, WorkItem } from './shares.ts';
import type { OpenedSource } from './sources.ts';
import type { CutResult } from './split-stage.ts';
import { sumOf, type Tally } from './tally.ts';

const KEY_DIGITS = 16;

export interface StageManifest {
  readonly key: string;
  /** `read`, the name of a stage, `split` */
  readonly stage: string;
  readonly version: number;
  readonly config: unknown;
  /** the key of the stage before, or the hash of the source */
  readonly input: string;
  readonly shards: readonly Shard[];
  /** what was done to each source, by its number (0 where the stage is of one source) */
  readonly sources: Readonly<Record<string, Tally>>;
  /** what its survey found, of a stage with one */
  readonly figures?: Figures;
  /** of all threads and tasks together */
  readonly seconds: number;
}

export interface PipelineRun {
  readonly stagesDir: string;
  readonly work: SharedWork;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export function folderOf(name: string, key: string): string {
  return `${name}-${key.slice(0, KEY_DIGITS)}`;
}

/** The key of what is read of all sources. */
export function readingKey(sources: readonly OpenedSource[]): string {
  return stageKey(sources.map(({ domain, key }) => [domain, key]));
}

/** The key of a stage behind the one with `input`. @param surveyed the hashes of the texts that its survey reads */
export function keyOfStage(input: string, planned: PlannedStage, surveyed: readonly string[]): string {
  const { stage, config, domains, formats } = planned;
  const { name, version } = stage;
  return stageKey({ input, stage: name, version, config, domains, formats, surveyed });
}

/** Reads all sources. */
export async function runReading(
  sources: readonly OpenedSource[],
  run: PipelineRun,
): Promise<readonly StageManifest[]> {
  const folders = sources.map(({ key }) => folderOf('read', key));
  const nameOf = (number: number, unit: number) => `${folders[number]}/u${digits(unit)}`;
  const known = folders.map((folder) => trustedStage(run.stagesDir, folder));
  const items = sources.flatMap(({ units }, number) =>
    known[number]
      ? []
      : units.map((unit, at): WorkItem => {
          const name = nameOf(number, at);
          return { job: { kind: 'read', unit, name }, receipt: join(run.stagesDir, `${name}.json`) };
        }),
  );
  await finish('read', unique(items), run);
  return sources.map(({ units, key, source, integrity }, number) => {
    const folder = folders[number]!;
    if (known[number]) return known[number];
    const receipts = units.map((_, at) => receiptOf<ReadReceipt>(run, nameOf(number, at)));
    const manifest = manifestOf(
      { key, stage: 'read', version: 1, config: source, input: integrity },
      {
        shards: receipts.flatMap(({ shards }) => shards),
        tallies: receipts.map(({ tally }) => [0, tally] as const),
        seconds: receipts.map(({ seconds }) => seconds),
      },
    );
    return publishManifest(run, folder, manifest);
  });
}

/** The same text may be read for two domains: once is enough. */
function unique(items: readonly WorkItem[]): WorkItem[] {
  return [...new Map(items.map((each) => [each.receipt, each])).values()];
}

/** Applies a stage to the shards of its domains and formats; the others pass by. */
export async function runStage(
  { key, ...planned }: PlannedStage & { readonly key: string },
  input: { readonly key: string; readonly shards: readonly Shard[] },
  sources: readonly OpenedSource[],
  run: PipelineRun,
): Promise<StageManifest> {
  const { stage, config } = planned;
  const folder = folderOf(stage.name, key);
  const finished = trustedStage(run.stagesDir, folder);
  if (finished) return finished;
  const selected = input.shards.filter(({ source }) => isSelected(planned, sources[source]!));
  const { summary, figures } = await survey(planned, folder, selected, run);
  const numbers = new Map(input.shards.map((shard, at) => [shard, at]));
  const nameOf = (shard: Shard) => `${folder}/${digits(numbers.get(shard)!)}`;
  const items = selected.map((shard, number): WorkItem => {
    const name = nameOf(shard);
    const job: Job = { kind: 'apply', stage: stage.name, config, summary, shard, number, name };
    return { job, receipt: join(run.stagesDir, `${name}.json`) };
  });
  await finish(stage.name, items, run);
  const isTaken = new Set(selected);
  const results = input.shards.map((shard) =>
    isTaken.has(shard) ? receiptOf<ApplyReceipt>(run, nameOf(shard)) : { shard },
  );
  const done = results.flatMap((each, at) =>
    'tally' in each ? [{ ...each, source: input.shards[at]!.source }] : [],
  );
  const manifest = manifestOf(
    { key, stage: stage.name, version: stage.version, config, input: input.key },
    {
      shards: results.flatMap(({ shard }) => (shard ? [shard] : [])),
      tallies: done.map(({ source, tally }) => [source, tally] as const),
      seconds: done.map(({ seconds }) => seconds),
      figures,
    },
  );
  return publishManifest(run, folder, manifest);
}

/** What all selected shards say together: the path of the summary, and figures of it; neither for a stage that needs none. */
async function survey(
  { stage, config }: PlannedStage,
  folder: string,
  selected: readonly Shard[],
  run: PipelineRun,
): Promise<SummaryReceipt & { readonly summary?: string }> {
  if (!stage.survey) return {};
  const summary = `${folder}/summary`;
  const place = (path: string) => join(run.stagesDir, path);
  const receipt = `${place(summary)}.json`;
  if (!existsSync(place(summary))) rmSync(receipt, { force: true });
  if (!existsSync(receipt)) {
    const parts = stage.survey.map ? selected.map((_, at) => `${folder}/${digits(at)}.part`) : [];
    const items = parts.map((part, at): WorkItem => {
      const job: Job = { kind: 'map', stage: stage.name, config, shard: selected[at]!, part };
      return { job, receipt: place(part) };
    });
    await finish(`${stage.name} (survey)`, items, run);
    const job: Job = { kind: 'merge', stage: stage.name, config, parts, summary };
    await finish(`${stage.name} (summary)`, [{ job, receipt }], run);
  }
  return { summary, ...receiptOf<SummaryReceipt>(run, summary) };
}

function isSelected({ domains, formats }: PlannedStage, { domain, source }: OpenedSource): boolean {
  return (domains?.includes(domain) ?? true) && (formats?.includes(source.format) ?? true);
}

/** Ends when all items have their receipts. */
export async function finish(label: string, items: readonly WorkItem[], run: PipelineRun): Promise<void> {
  run.signal?.throwIfAborted();
  for (const { receipt } of items) dropBrokenReceipt(run, receipt);
  await run.work.finish(items, (done) =>
    run.onProgress?.({ stage: `prepare: ${label}`, done, total: items.length, unit: 'shards' }),
  );
}

/** A receipt whose shards have gone since, or changed their size, is worth nothing. */
function dropBrokenReceipt({ stagesDir }: PipelineRun, path: string): void {
  if (!path.endsWith('.json') || !existsSync(path)) return;
  const receipt = readJsonFile<Receipt>(path);
  const shards = receipt && [receipt.shard, receipt.train, receipt.heldout, ...(receipt.shards ?? [])];
  if (!shards?.every((shard) => !shard || isThere(stagesDir, shard))) rmSync(path, { force: true });
}

type Receipt = Partial<Pick<ReadReceipt, 'shards'> & Pick<ApplyReceipt, 'shard'> & Pick<CutResult, Split>>;

function isThere(stagesDir: string, { path, sizeBytes }: Shard): boolean {
  return statSync(join(stagesDir, path), { throwIfNoEntry: false })?.size === sizeBytes;
}

export function digits(number: number): string {
  return String(number).padStart(5, '0');
}

export function receiptOf<T>(run: PipelineRun, name: string): T {
  return readJsonFile<T>(join(run.stagesDir, `${name}.json`))!;
}

interface Parts {
  readonly shards: readonly Shard[];
  readonly tallies: readonly (readonly [source: number, tally: Tally])[];
  readonly seconds: readonly number[];
  readonly figures?: Figures;
}

export function manifestOf(
  head: Pick<StageManifest, 'key' | 'stage' | 'version' | 'config' | 'input'>,
  { shards, tallies, seconds, figures }: Parts,
): StageManifest {
  const numbers = [...new Set(tallies.map(([number]) => number))];
  const sources = numbers.map((number) => {
    const own = sumOf(tallies.filter(([each]) => each === number).map(([, tally]) => tally));
    return [number, own] as const;
  });
  return {
    ...head,
    shards,
    sources: Object.fromEntries(sources),
    ...(figures && { figures }),
    seconds: Math.round(1000 * seconds.reduce((sum, each) => sum + each, 0)) / 1000,
  };
}

/** Writes the manifest and clears away what killed processes of this machine left in the folder. */
export function publishManifest(run: PipelineRun, folder: string, manifest: StageManifest): StageManifest {
  publishFile(join(run.stagesDir, folder, 'manifest.json'), `${JSON.stringify(manifest)}\n`);
  removeLeftovers(join(run.stagesDir, folder));
  return manifest;
}

function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    const [, rest] = name.split('.tmp-');
    if (!rest?.startsWith(`${hostname()}-`)) continue;
    const pid = Number(rest.slice(hostname().length + 1).split('-')[0]);
    if (!isProcess(pid)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** The manifest of a finished stage whose files are all there; their content is checked when they are read. */
export function trustedStage(stagesDir: string, folder: string): StageManifest | undefined {
  const manifest = readJsonFile<StageManifest>(join(stagesDir, folder, 'manifest.json'));
  if (!manifest || !Array.isArray(manifest.shards)) return undefined;
  return manifest.shards.every((shard) => isThere(stagesDir, shard)) ? manifest : undefined;
}
