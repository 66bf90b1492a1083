/** Reading a run directory without owning it: what the dashboard, `runs` and a resume need. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { DabarexError } from '../base/index.ts';
import type { RunEvent, RunMetrics } from './events.ts';
import { type JsonLines, readJsonLines, readLastJsonLines } from './jsonl.ts';
import { isLocked } from './lock.ts';
import { deriveStatus, type RunProgress, type RunStatus } from './status.ts';

export const RUN_FILES = {
  recipe: 'recipe.yaml',
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
  return readJsonLines<RunEvent>(join(runPath, RUN_FILES.events), sinceByte, maxBytes);
}

/** The metrics from byte `sinceByte` on; a line cut short by a crash is reported, not read. */
export function readMetrics(runPath: string, sinceByte = 0, maxBytes?: number): JsonLines<RunMetrics> {
  return readJsonLines<RunMetrics>(join(runPath, RUN_FILES.metrics), sinceByte, maxBytes);
}

/** The metrics of the last step, of training and of an evaluation together; undefined where there are none. */
export function readLastMetrics(runPath: string): RunMetrics | undefined {
  const [before, last] = readLastJsonLines<RunMetrics>(join(runPath, RUN_FILES.metrics), 2);
  return before && last && before.step === last.step ? { ...before, ...last } : (last ?? before);
}

/**
 * The resolved recipe of a run.
 * @throws run_missing where the folder holds no recipe.yaml
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
  return parse(readFileSync(path, 'utf8')) as Recipe;
}

/** Where the run stands; reads the last metrics, and all events where they are not given. */
export function readStatus(
  runPath: string,
  events: readonly RunEvent[] = readEvents(runPath).values,
): RunStatus {
  return deriveStatus({
    events,
    lastMetrics: readLastMetrics(runPath),
    etaSeconds: readLastJsonLines<RunMetrics>(join(runPath, RUN_FILES.metrics), RECENT_LINES).findLast(
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
  try {
    return JSON.parse(readFileSync(join(runPath, RUN_FILES.progress), 'utf8')) as RunProgress;
  } catch {
    return undefined;
  }
}
