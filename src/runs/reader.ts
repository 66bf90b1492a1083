/**
 * Reading runs again and again, as a server does: what has not changed on disk is not read again, and of the events only
 * what was appended. A file that was replaced or is shorter than it was is read anew.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { RunEvent, RunMetrics } from './events.ts';
import { FolderSize } from './folder-size.ts';
import { isRunAlive, isRunName, RUN_FILES, readEvents, readLastMetrics, readStatus } from './read.ts';
import type { RunStatus } from './status.ts';

export interface RunSummary {
  readonly name: string;
  readonly path: string;
  readonly status: RunStatus;
  readonly lastMetrics?: RunMetrics;
  /** of all files of the run, links not followed */
  readonly sizeBytes: number;
}

/** The runs under `runsDir`, the one touched last first; [] where the folder is absent. */
export function listRuns(runsDir: string): RunSummary[] {
  return new RunsReader().list(runsDir);
}

export class RunsReader {
  private readonly runs = new Map<string, KnownRun>();

  /** As {@link listRuns}. */
  list(runsDir: string): RunSummary[] {
    const names = existsSync(runsDir)
      ? readdirSync(runsDir, { withFileTypes: true })
          .filter((entry) => entry.isDirectory() && isRunName(entry.name))
          .map(({ name }) => name)
          .filter((name) => existsSync(join(runsDir, name, RUN_FILES.recipe)))
      : [];
    const paths = new Set(names.map((name) => join(runsDir, name)));
    for (const path of this.runs.keys()) if (!paths.has(path)) this.runs.delete(path);
    return names
      .map((name) => {
        const path = join(runsDir, name);
        const run = this.open(path);
        return {
          name,
          path,
          status: run.status(),
          lastMetrics: run.lastMetrics(),
          sizeBytes: run.sizeBytes(),
        };
      })
      .sort((a, b) => (b.status.updatedAt ?? '').localeCompare(a.status.updatedAt ?? ''));
  }

  /** Where the run stands; the same object as before where nothing has changed. */
  status(runPath: string): RunStatus {
    return this.open(runPath).status();
  }

  /** As {@link readLastMetrics}. */
  lastMetrics(runPath: string): RunMetrics | undefined {
    return this.open(runPath).lastMetrics();
  }

  private open(path: string): KnownRun {
    const known = this.runs.get(path) ?? new KnownRun(path);
    this.runs.set(path, known);
    return known;
  }
}

/** What is known of one run, each with the state of the files it was read from. */
class KnownRun {
  private readonly path: string;
  private readonly size: FolderSize;
  private readonly statusRead: Kept<RunStatus>;
  private readonly metricsRead: Kept<RunMetrics | undefined>;
  private events: RunEvent[] = [];
  private eventsEnd = 0;
  private eventsInode: number | undefined;

  constructor(path: string) {
    this.path = path;
    this.size = new FolderSize(path);
    this.statusRead = new Kept(() => readStatus(path, this.readEvents()));
    this.metricsRead = new Kept(() => readLastMetrics(path));
  }

  status(): RunStatus {
    const files = [RUN_FILES.events, RUN_FILES.metrics, RUN_FILES.progress].map((file) => this.stateOf(file));
    return this.statusRead.get([...files, isRunAlive(this.path)].join(' '));
  }

  lastMetrics(): RunMetrics | undefined {
    return this.metricsRead.get(this.stateOf(RUN_FILES.metrics));
  }

  sizeBytes(): number {
    return this.size.read(true);
  }

  private readEvents(): readonly RunEvent[] {
    const stat = statSync(join(this.path, RUN_FILES.events), { throwIfNoEntry: false });
    if (stat?.ino !== this.eventsInode || (stat?.size ?? 0) < this.eventsEnd) {
      this.events = [];
      this.eventsEnd = 0;
    }
    this.eventsInode = stat?.ino;
    const { values, nextByte } = readEvents(this.path, this.eventsEnd);
    for (const event of values) this.events.push(event);
    this.eventsEnd = nextByte;
    return this.events;
  }

  /** Changes whenever the file's content may have. */
  private stateOf(file: string): string {
    const stat = statSync(join(this.path, file), { throwIfNoEntry: false });
    return `${stat?.ino}:${stat?.size}:${stat?.mtimeMs}`;
  }
}

/** A value that is read again when its key differs from that of the last reading. */
class Kept<T> {
  private readonly read: () => T;
  private last: { readonly key: string; readonly value: T } | undefined;

  constructor(read: () => T) {
    this.read = read;
  }

  get(key: string): T {
    if (this.last?.key !== key) this.last = { key, value: this.read() };
    return this.last.value;
  }
}
