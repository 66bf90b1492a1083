/** Reading a run directory without owning it: what the dashboard, `runs` and a resume need. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { DabarexError, isLocked, readJsonFile } from '../base/index.ts';
import { isRunEvent, isRunMetrics, type RunEvent, type RunMetrics } from './events.ts';
import { type JsonLines, readJsonLines, readLastJsonLines } from './jsonl.ts';
import { deriveStatus, type RunProgress, type RunStatus } from './status.ts';

export const RUN_FILES = {
  recipe: 'recipe.yaml',
  data: 'data.json',
  events: 'events.jsonl',
  metrics: 'metrics.jsonl',
  progress: 'progress.json',
  log: 'log.txt',
  lock: 'lock',
} as const;

/** Among so many lines of metrics.jsonl is one of a log point. */
const RECENT_LINES = 20;

export type Recipe = Readonly<Record<string, unknown>>;

/** Letters, digits, `.`, `_` and `-`, at most 100, not starting with a dot: a name that is one folder and no path. */
export function isRunName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/.test(name);
}

/** The events from byte `sinceByte` on; a line cut short by a crash is reported, not read. */
export function readEvents(runPath: string, sinceByte = 0, maxBytes?: number): JsonLines<RunEvent> {
  return readJsonLines(join(runPath, RUN_FILES.events), sinceByte, maxBytes, isRunEvent);
}

/** The metrics from byte `sinceByte` on; a line cut short by a crash is reported, not read. */
export function readMetrics(runPath: string, sinceByte = 0, maxBytes?: number): JsonLines<RunMetrics> {
  return readJsonLines(join(runPath, RUN_FILES.metrics), sinceByte, maxBytes, isRunMetrics);
}

/** The metrics of the last step, of training and of an evaluation together; undefined where there are none. */
export function readLastMetrics(runPath: string): RunMetrics | undefined {
  const [before, last] = readLastJsonLines(join(runPath, RUN_FILES.metrics), 2, isRunMetrics);
  return before && last && before.step === last.step ? { ...before, ...last } : (last ?? before);
}

/**
 * The resolved recipe of a run.
 * @throws run_missing where the folder holds no recipe.yaml; config_invalid where that is damaged
 */
export function readRecipe(runPath: string): Recipe {
  const path = join(runPath, RUN_FILES.recipe);
  if (!existsSync(path)) {
    throw new DabarexError(
      'run_missing',
      `No run at ${runPath}: ${RUN_FILES.recipe} is not there. List the runs with "dabarex runs", or start one.`,
      { path: runPath },
    );
  }
  return readRecipeFile(path);
}

/** @throws config_invalid where the file is no YAML mapping, as after a crash of the disk or an edit */
export function readRecipeFile(path: string): Recipe {
  const text = readFileSync(path, 'utf8');
  let problem = 'it holds no keys';
  try {
    const recipe: unknown = parse(text, { logLevel: 'error' });
    if (typeof recipe === 'object' && recipe !== null && !Array.isArray(recipe)) return recipe as Recipe;
  } catch (error) {
    problem = (error as Error).message.split('\n')[0]!.replace(/:$/, '');
  }
  throw new DabarexError(
    'config_invalid',
    `${path} is no recipe: ${problem}. Restore the file, or remove the run's folder to start it again.`,
    { path },
  );
}

/** Where the run stands; reads the last metrics, and all events where they are not given. */
export function readStatus(
  runPath: string,
  events: readonly RunEvent[] = readEvents(runPath).values,
): RunStatus {
  return deriveStatus({
    events,
    lastMetrics: readLastMetrics(runPath),
    etaSeconds: readLastJsonLines(join(runPath, RUN_FILES.metrics), RECENT_LINES, isRunMetrics).findLast(
      (each) => each.eta_seconds !== undefined,
    )?.eta_seconds,
    progress: readProgress(runPath),
    alive: isRunAlive(runPath),
  });
}

/** Whether a living process is writing the run. */
export function isRunAlive(runPath: string): boolean {
  return isLocked(join(runPath, RUN_FILES.lock));
}

function readProgress(runPath: string): RunProgress | undefined {
  return readJsonFile(join(runPath, RUN_FILES.progress));
}
