/** A run at work: its directory, its recipe, and how its progress is shown on the terminal and on the page. */
import { join } from 'node:path';
import { DabarexError, fileError, type OnProgress, type Progress, parseConfig } from '../base/index.ts';
import { listCheckpoints } from '../checkpoint/index.ts';
import { type OpenRunOptions, RunDirectory, type RunEventBody, type Stage } from '../runs/index.ts';
import { type CliContext, isInterruption } from './context.ts';
import { formatSeconds } from './output.ts';
import { createProgressDisplay, type ProgressDisplay } from './progress.ts';
import { type Recipe, recipeSchema, requireRunParts } from './recipe.ts';
import { requireSamePast } from './stages/mix.ts';

export interface RunSession {
  readonly context: CliContext;
  readonly recipe: Recipe;
  readonly run: RunDirectory;
  readonly threads: number;
  /** Draws a report on the terminal, with a note behind it, and leaves it for the page. */
  report(progress: Progress, note?: string): void;
  readonly onProgress: OnProgress;
  /** A line for people, above the bars and in log.txt. */
  log(text: string): void;
  /** Runs one stage between its two events. */
  stage<T>(stage: Stage, details: Record<string, unknown>, work: () => Promise<T>): Promise<T>;
  /**
   * As {@link stage} for work that may find its result finished: it begins with the call of `begin` or the first report of
   * progress, and without either leaves no events, so that those of the call that did the work still tell its time.
   */
  reusableStage<T>(stage: Stage, work: (begin: () => void) => Promise<T>): Promise<T>;
}

/**
 * Opens the run of a recipe and works on it: events say how it began and ended, the lock and the terminal are given
 * back whatever happens.
 * @throws config_invalid for a recipe that is no whole run, before anything is made; run_locked, run_recipe_differs; and what
 *   `work` throws
 */
export async function withRun<T>(
  recipe: Recipe,
  threads: number,
  context: CliContext,
  work: (session: RunSession) => Promise<T>,
): Promise<T> {
  requireRunParts(recipe);
  const plain = JSON.parse(JSON.stringify(recipe));
  const run = RunDirectory.open({
    runsDir: context.runsDir,
    name: recipe.name,
    recipe: plain,
    now: context.now,
    ...allowedChanges(recipe, context),
  });
  const display = createProgressDisplay(context.stderr, context.now);
  const record: RecordEvent = (event) => run.appendEvent(event);
  try {
    const begun = run.readEvents().values.length > 0;
    record({ type: begun ? 'run_resumed' : 'run_started' });
    const result = await work(createSession(recipe, threads, context, run, display, record));
    record({ type: context.interrupted.aborted ? 'run_interrupted' : 'run_completed' });
    return result;
  } catch (thrown) {
    const interrupted = isInterruption(thrown, context);
    const error = interrupted ? thrown : fileError(thrown);
    try {
      if (interrupted) record({ type: 'run_interrupted' });
      else recordFailure(error, run, record);
    } catch {
      // On a full disk the record fails for the reason that `error` tells.
    }
    throw error;
  } finally {
    display.stop();
    run.close();
  }
}

/** What of a run's recipe may be another than when it was opened last. */
function allowedChanges(recipe: Recipe, context: CliContext): Pick<OpenRunOptions, 'mayDiffer' | 'onChange'> {
  const path = join(context.runsDir, recipe.name);
  // Nothing is lost when a run that never reached a checkpoint takes another recipe: a mended one, mostly.
  if (listCheckpoints(path).length === 0) return { mayDiffer: Object.keys(recipeSchema.shape) };
  // The shards may have moved: a checkpoint knows its data by their content.
  const places = ['data.shards', 'data.stream.cacheLimit', 'data.stream.predownload'];
  return {
    mayDiffer: ['serve', 'evaluate', 'data.curriculum', 'data.memory', ...places],
    onChange: (stored) => requireSamePast(parseConfig(recipeSchema, stored, path), recipe, path),
  };
}

type RecordEvent = (event: RunEventBody) => void;

function recordFailure(error: unknown, run: RunDirectory, record: RecordEvent): void {
  const code = error instanceof DabarexError ? error.code : 'internal';
  const message = error instanceof Error ? error.message : String(error);
  record({ type: 'run_failed', code, message });
  run.log(`failed: ${message}`);
}

function createSession(
  recipe: Recipe,
  threads: number,
  context: CliContext,
  run: RunDirectory,
  display: ProgressDisplay,
  record: RecordEvent,
): RunSession {
  let beginStage: () => void = () => undefined;
  const report = (progress: Progress, note?: string) => {
    beginStage();
    display.update(progress, note);
    run.writeProgress(progress);
  };
  const log = (text: string) => {
    display.log(text);
    run.log(text);
  };
  const work = async <T>(stage: Stage, details: object, doWork: (begin: () => void) => Promise<T>) => {
    let started: number | undefined;
    beginStage = () => {
      if (started !== undefined) return;
      started = context.now();
      record({ type: 'stage_started', stage, ...details });
    };
    try {
      const result = await doWork(beginStage);
      display.stop();
      if (started === undefined || context.interrupted.aborted) return result;
      const seconds = (context.now() - started) / 1000;
      record({ type: 'stage_completed', stage, seconds });
      run.log(`${stage} took ${formatSeconds(seconds)}`);
      return result;
    } finally {
      beginStage = () => undefined;
    }
  };
  return {
    context,
    recipe,
    run,
    threads,
    report,
    onProgress: (progress) => report(progress),
    log,
    stage: (stage, details, doWork) =>
      work(stage, details, (begin) => {
        begin();
        return doWork();
      }),
    reusableStage: (stage, doWork) => work(stage, {}, doWork),
  };
}
