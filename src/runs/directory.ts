/**
 * The run directory, owned by the one process that writes it:
 *
 *     runs/NAME/recipe.yaml     the resolved recipe; a run belongs to one recipe
 *               events.jsonl    what happened, in order, never rewritten
 *               metrics.jsonl   numbers per log point; rewound to the checkpoint when a run resumes
 *               progress.json   how far the long step at hand is
 *               log.txt         the same for people
 *               lock            who writes
 */
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { assert, DabarexError, type Progress, writeFileAtomic } from '../base/index.ts';
import type { RunEvent, RunEventBody, RunMetrics, RunMetricsBody } from './events.ts';
import {
  appendJsonLine,
  appendText,
  filterJsonLines,
  type JsonLines,
  truncateIncompleteTail,
} from './jsonl.ts';
import { takeLock } from './lock.ts';
import {
  isRunName,
  type Recipe,
  RUN_FILES,
  readEvents,
  readMetrics,
  readRecipeFile,
  readStatus,
} from './read.ts';
import { differences, recipeDiffersError } from './recipe-diff.ts';
import type { RunStatus } from './status.ts';

const PROGRESS_INTERVAL_MS = 500;

export interface OpenRunOptions {
  /** the folder of all runs */
  readonly runsDir: string;
  readonly name: string;
  /** resolved; must be plain JSON data */
  readonly recipe: Recipe;
  /** milliseconds since the epoch: `Date.now` */
  readonly now: () => number;
  /** what may change between openings, by its path (`serve`, `data.curriculum`); the stored recipe then takes the new values */
  readonly mayDiffer?: readonly string[];
  /** told of a change of those before it is stored; throws to refuse it */
  readonly onChange?: (stored: Recipe) => void;
}

export class RunDirectory {
  readonly path: string;
  readonly name: string;
  /** what was cut off files whose last line was unfinished when the run was opened, 0 after an orderly end */
  readonly truncatedBytes: number;
  private readonly now: () => number;
  private readonly releaseLock: () => void;
  private lastProgress = { timeMs: -Infinity, stage: '' };
  private readonly listeners: ((event: RunEventBody) => void)[] = [];
  private closed = false;

  private constructor(path: string, options: OpenRunOptions, releaseLock: () => void) {
    this.path = path;
    this.name = options.name;
    this.now = options.now;
    this.releaseLock = releaseLock;
    const files = [RUN_FILES.events, RUN_FILES.metrics, RUN_FILES.log];
    this.truncatedBytes = files.reduce((sum, file) => sum + truncateIncompleteTail(join(path, file)), 0);
  }

  /**
   * Opens `runsDir/name` for writing, creating it where it is absent, and holds its lock until {@link close}.
   * @throws run_name_invalid for a name that is not one plain folder name
   * @throws run_locked while another process writes it
   * @throws run_recipe_differs when it was made by another recipe; config_invalid when its recipe.yaml is damaged;
   * and what `onChange` throws
   */
  static open(options: OpenRunOptions): RunDirectory {
    if (!isRunName(options.name)) throw nameInvalidError(options.name);
    const path = join(options.runsDir, options.name);
    mkdirSync(path, { recursive: true });
    const releaseLock = takeLock(join(path, RUN_FILES.lock), path, new Date(options.now()).toISOString());
    try {
      storeRecipe(path, options);
      return new RunDirectory(path, options, releaseLock);
    } catch (error) {
      releaseLock();
      throw error;
    }
  }

  /** Appends one line to events.jsonl, stamped with the time. */
  appendEvent(event: RunEventBody): void {
    assert(!this.closed, 'an event after the run was closed');
    appendJsonLine(join(this.path, RUN_FILES.events), { time: this.timestamp(), ...event });
    for (const listener of this.listeners) listener(event);
  }

  /** From now on `listener` is told of each event when it is written. */
  onEvent(listener: (event: RunEventBody) => void): void {
    this.listeners.push(listener);
  }

  /** Appends one line to metrics.jsonl, stamped with the time. */
  appendMetrics(metrics: RunMetricsBody): void {
    assert(!this.closed, 'metrics after the run was closed');
    appendJsonLine(join(this.path, RUN_FILES.metrics), { time: this.timestamp(), ...metrics });
  }

  /** Appends a line to log.txt, the time before it; further lines of the message are indented. */
  log(message: string): void {
    appendText(
      join(this.path, RUN_FILES.log),
      `${this.timestamp()} ${message.trimEnd().replaceAll('\n', '\n  ')}\n`,
    );
  }

  /** Tells readers how far a long step is; written at most twice a second, but always when the stage changes or ends. */
  writeProgress(progress: Progress): void {
    const timeMs = this.now();
    const { stage, done, total } = progress;
    const due = timeMs - this.lastProgress.timeMs >= PROGRESS_INTERVAL_MS;
    const ends = total > 0 && done >= total;
    if (!due && !ends && stage === this.lastProgress.stage) return;
    this.lastProgress = { timeMs, stage };
    const path = join(this.path, RUN_FILES.progress);
    // Not fsynced: it is worth nothing after a crash, and it is written often.
    writeFileSync(`${path}.tmp`, JSON.stringify({ time: new Date(timeMs).toISOString(), ...progress }));
    renameSync(`${path}.tmp`, path);
  }

  /** Drops the metrics of steps beyond `step`, to which the run goes back; returns the number of lines dropped. */
  rewindMetrics(step: number): number {
    return filterJsonLines<RunMetrics>(join(this.path, RUN_FILES.metrics), (each) => each.step <= step);
  }

  readEvents(): JsonLines<RunEvent> {
    return readEvents(this.path);
  }

  readMetrics(): JsonLines<RunMetrics> {
    return readMetrics(this.path);
  }

  status(): RunStatus {
    return readStatus(this.path);
  }

  /** Gives the lock back; nothing may be written afterwards. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.releaseLock();
  }

  private timestamp(): string {
    return new Date(this.now()).toISOString();
  }
}

function storeRecipe(path: string, { recipe, mayDiffer = [], onChange }: OpenRunOptions): void {
  const file = join(path, RUN_FILES.recipe);
  const given: unknown = JSON.parse(JSON.stringify(recipe));
  if (existsSync(file)) {
    const stored = readRecipeFile(file);
    const found = differences(stored, given);
    const serious = found.filter(
      (each) => !mayDiffer.some((allowed) => `${each.path}.`.startsWith(`${allowed}.`)),
    );
    if (serious.length > 0) throw recipeDiffersError(path, serious);
    if (found.length === 0) return;
    onChange?.(stored);
  }
  writeFileAtomic(file, stringify(given));
}

function nameInvalidError(name: string): DabarexError {
  return new DabarexError(
    'run_name_invalid',
    `"${name}" cannot name a run: use 1 to 100 letters, digits, ".", "_" or "-", not starting with a dot.`,
    { name },
  );
}
