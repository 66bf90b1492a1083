/**
 * The variants of data that runs were trained on, what differed between them, and what the runs came to. A run tells its data in
 * `data.json`; one from before that, or that has not come so far, is told apart by its recipe alone.
 */
import { join } from 'node:path';
import { readJsonFile } from '../base/index.ts';
import { type Recipe, RUN_FILES, readEvents, readRecipe } from './read.ts';
import { listRuns } from './reader.ts';
import { differences, type RecipeDifference } from './recipe-diff.ts';
import type { RunState } from './status.ts';

/** The content of `data.json`: hashes that name what a run is trained on. */
export interface RunData {
  /** of the documents; of data that was given ready: of the indexes of shards and the content of files */
  readonly documents_key: string;
  readonly shards_key: string;
  readonly tokenizer_sha256: string;
  /** domain -> the text files that it is read from, in their order; of those domains that are */
  readonly files?: Readonly<Record<string, readonly { readonly path: string; readonly sha256: string }[]>>;
}

export interface ExperimentRun {
  readonly name: string;
  readonly state: RunState;
  readonly step: number;
  readonly lossTrainNats?: number;
  /** of the last evaluation, by domain */
  readonly bitsPerByte: Readonly<Record<string, number>>;
}

export interface Experiment {
  /** absent where no run of it got so far */
  readonly documentsKey?: string;
  /** settings that differ from those of the first variant: `stored` there, `given` here; [] for the first itself */
  readonly differences: readonly RecipeDifference[];
  /** the documents differ from those of the first variant, though no setting does: a source or the code has changed */
  readonly isOtherText: boolean;
  readonly runs: readonly ExperimentRun[];
}

/** What a run recorded of its data. */
export function readRunData(runPath: string): RunData | undefined {
  const data = readJsonFile<RunData>(join(runPath, RUN_FILES.data));
  return typeof data?.documents_key === 'string' ? data : undefined;
}

interface Variant {
  readonly identity: string;
  readonly documentsKey?: string;
  readonly settings: unknown;
  readonly runs: ExperimentRun[];
}

/** The variants of the runs under `runsDir`, that of the run begun first before the others. */
export function listExperiments(runsDir: string): Experiment[] {
  const variants = new Map<string, Variant>();
  const runs = listRuns(runsDir).sort((a, b) => startOf(a.status).localeCompare(startOf(b.status)));
  for (const { name, path, status, lastMetrics } of runs) {
    const settings = dataSettings(path);
    if (settings === undefined) continue;
    const documentsKey = readRunData(path)?.documents_key;
    const identity = JSON.stringify([documentsKey, settings]);
    const variant = variants.get(identity) ?? { identity, documentsKey, settings, runs: [] };
    variants.set(identity, variant);
    variant.runs.push({
      name,
      state: status.state,
      step: status.step,
      lossTrainNats: lastMetrics?.loss_train_nats,
      bitsPerByte: lastBitsPerByte(path),
    });
  }
  const [first] = variants.values();
  return [...variants.values()].map(({ documentsKey, settings, runs: own }) => {
    const found = differences(first!.settings, settings);
    const isOtherText = found.length === 0 && documentsKey !== first!.documentsKey;
    return { documentsKey, differences: found, isOtherText, runs: own };
  });
}

function startOf({ startedAt }: { readonly startedAt?: string }): string {
  return startedAt ?? '~';
}

/** What of a recipe decides the data that a model sees; undefined where the recipe cannot be read or has none. */
function dataSettings(runPath: string): unknown {
  let recipe: Recipe;
  try {
    recipe = readRecipe(runPath);
  } catch {
    return undefined;
  }
  if (typeof recipe.data !== 'object' || recipe.data === null) return undefined;
  const { memory: _, ...data } = recipe.data as Record<string, unknown>;
  const { phases } = Object(recipe.train) as { phases?: unknown };
  return JSON.parse(
    JSON.stringify({ data, tokenizer: recipe.tokenizer, ...(phases ? { train: { phases } } : {}) }),
  );
}

function lastBitsPerByte(runPath: string): Record<string, number> {
  const last = readEvents(runPath).values.findLast((event) => event.type === 'evaluation');
  if (last?.type !== 'evaluation') return {};
  const domains = Object.entries(last.domains ?? {});
  return Object.fromEntries(domains.map(([name, each]) => [name, each?.bits_per_byte ?? Number.NaN]));
}
