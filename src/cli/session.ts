/** A run at work: its directory, its recipe, and how its progress is shown on the terminal and on the page. */
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError, type OnProgress, type Progress } from '../base/index.ts';
import { RunDirectory, type Stage } from '../runs/index.ts';
import type { CliContext } from './context.ts';
import { formatSeconds } from './output.ts';
import { createProgressDisplay, type ProgressDisplay } from './progress.ts';
import type { Recipe } from './recipe.ts';

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
  /** Runs one stage between its two events; what `work` returns may name details for the second one. */
  stage<T>(stage: Stage, details: Record<string, unknown>, work: () => Promise<T>): Promise<T>;
}

/**
 * Opens the run of a recipe and works on it: events say how it began and ended, the lock and the terminal are given
 * back whatever happens.
 * @throws run_locked, run_recipe_differs, and what `work` throws
 */
export async function withRun<T>(
  recipe: Recipe,
  threads: number,
  context: CliContext,
  work: (session: RunSession) => Promise<T>,
): Promise<T> {
  const plain = JSON.parse(JSON.stringify(recipe));
  const options = { runsDir: context.runsDir, name: recipe.name, recipe: plain, now: context.now };
  const run = RunDirectory.open({ ...options, mayDiffer: ['serve', 'evaluate'] });
  const display = createProgressDisplay(context.stderr, context.now);
  try {
    const begun = run.readEvents().values.length > 0;
    run.appendEvent({ type: begun ? 'run_resumed' : 'run_started' });
    const result = await work(createSession(recipe, threads, context, run, display));
    run.appendEvent({ type: context.interrupted.aborted ? 'run_interrupted' : 'run_completed' });
    return result;
  } catch (error) {
    recordFailure(run, error, context);
    throw error;
  } finally {
    display.stop();
    run.close();
  }
}

function createSession(
  recipe: Recipe,
  threads: number,
  context: CliContext,
  run: RunDirectory,
  display: ProgressDisplay,
): RunSession {
  const report = (progress: Progress, note?: string) => {
    display.update(progress, note);
    run.writeProgress(progress);
  };
  const log = (text: string) => {
    display.log(text);
    run.log(text);
  };
  return {
    context,
    recipe,
    run,
    threads,
    report,
    onProgress: (progress) => report(progress),
    log,
    async stage(stage, details, work) {
      run.appendEvent({ type: 'stage_started', stage, ...details });
      const started = context.now();
      const result = await work();
      if (context.interrupted.aborted && stage !== 'serve') return result;
      const seconds = (context.now() - started) / 1000;
      run.appendEvent({ type: 'stage_completed', stage, seconds });
      run.log(`${stage} took ${formatSeconds(seconds)}`);
      return result;
    },
  };
}

function recordFailure(run: RunDirectory, error: unknown, context: CliContext): void {
  if (context.interrupted.aborted) {
    run.appendEvent({ type: 'run_interrupted' });
    return;
  }
  const code = error instanceof DabarexError ? error.code : 'internal';
  const message = error instanceof Error ? error.message : String(error);
  run.appendEvent({ type: 'run_failed', code, message });
  run.log(`failed: ${message}`);
}

/** Puts a file into the run directory under its own name, unless the same is there. */
export function copyIntoRun(session: RunSession, path: string, name: string): void {
  const target = join(session.run.path, name);
  if (!existsSync(target)) copyFileSync(path, target);
}
