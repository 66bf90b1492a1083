/** The last stage over all shards: measured, planned for each source, cut; see split-stage.ts. */
import { join } from 'node:path';
import type { HeldOutConfig } from '../config.ts';
import { stageKey } from '../manifest.ts';
import { SPLITS, type Split } from '../split.ts';
import type { Job } from './jobs.ts';
import {
  digits,
  finish,
  folderOf,
  manifestOf,
  type PipelineRun,
  publishManifest,
  receiptOf,
  type StageManifest,
  trustedStage,
} from './run-pipeline.ts';
import type { Shard } from './shard-file.ts';
import type { WorkItem } from './shares.ts';
import type { OpenedSource } from './sources.ts';
import { type CutResult, planSplit, type SplitPlan } from './split-stage.ts';
import type { Size } from './tally.ts';

const VERSION = 1;

export interface SplitManifest extends StageManifest {
  /** of each shard of the input that kept anything: its parts, and their sizes by source */
  readonly parts: readonly { readonly source: number; readonly train?: Shard; readonly heldout?: Shard }[];
  /** by the number of the source */
  readonly sizes: Readonly<Record<string, Readonly<Record<Split, Size>>>>;
}

export function keyOfSplit(input: string, sources: readonly OpenedSource[], heldOut: HeldOutConfig): string {
  return stageKey({
    input,
    version: VERSION,
    heldOut,
    limits: sources.map(({ source }) => source.limitBytes),
  });
}

export async function runSplit(
  heldOut: HeldOutConfig,
  key: string,
  input: { readonly key: string; readonly shards: readonly Shard[] },
  sources: readonly OpenedSource[],
  run: PipelineRun,
): Promise<SplitManifest> {
  const folder = folderOf('split', key);
  const finished = trustedStage(run.stagesDir, folder);
  if (finished) return finished as SplitManifest;
  const plans = await plan(folder, heldOut, input.shards, sources, run);
  const nameOf = (at: number) => `${folder}/${digits(at)}`;
  const items = input.shards.map((shard, number): WorkItem => {
    const name = nameOf(number);
    const job: Job = { kind: 'cut', shard, number, plan: plans[number]!, name };
    return { job, receipt: join(run.stagesDir, `${name}.json`) };
  });
  await finish('split', items, run);
  const receipts = input.shards.map((shard, at) => {
    const receipt = receiptOf<CutResult & { seconds: number }>(run, nameOf(at));
    return { ...receipt, source: shard.source };
  });
  const parts = receipts.map(({ source, train, heldout }) => ({ source, train, heldout }));
  const manifest = manifestOf(
    { key, stage: 'split', version: VERSION, config: heldOut, input: input.key },
    {
      shards: parts.flatMap((part) => SPLITS.flatMap((split) => part[split] ?? [])),
      tallies: receipts.map(({ source, tally }) => [source, tally] as const),
      seconds: receipts.map(({ seconds }) => seconds),
    },
  );
  const sizes = sources.map((_, number) => [
    number,
    sizesOf(receipts.filter(({ source }) => source === number)),
  ]);
  const whole: SplitManifest = { ...manifest, parts, sizes: Object.fromEntries(sizes) };
  publishManifest(run, folder, whole);
  return whole;
}

async function plan(
  folder: string,
  heldOut: HeldOutConfig,
  shards: readonly Shard[],
  sources: readonly OpenedSource[],
  run: PipelineRun,
): Promise<SplitPlan[]> {
  const parts = shards.map((_, at) => `${folder}/${digits(at)}.part`);
  const items = shards.map((shard, at): WorkItem => {
    return { job: { kind: 'measure', shard, part: parts[at]! }, receipt: join(run.stagesDir, parts[at]!) };
  });
  await finish('split (survey)', items, run);
  const plans: SplitPlan[] = [];
  for (const [number, { source }] of sources.entries()) {
    const own = shards.flatMap((shard, at) => (shard.source === number ? [at] : []));
    const planned = {
      limitBytes: source.limitBytes,
      isText: source.format === 'text',
      shards: own.map((at) => ({ shard: shards[at]!, part: join(run.stagesDir, parts[at]!) })),
    };
    for (const [i, each] of planSplit(run.stagesDir, planned, heldOut).entries()) plans[own[i]!] = each;
  }
  return plans;
}

function sizesOf(receipts: readonly CutResult[]): Record<Split, Size> {
  const sum = (split: Split, unit: keyof Size) =>
    receipts.reduce((total, { sizes }) => total + sizes[split][unit], 0);
  const sizeOf = (split: Split) => ({ documents: sum(split, 'documents'), bytes: sum(split, 'bytes') });
  return { train: sizeOf('train'), heldout: sizeOf('heldout') };
}
