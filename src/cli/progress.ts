/**
 * Progress for people: on a terminal one line that changes, of the stage that reported last, cut to the width of the
 * terminal; elsewhere (a log file, a pipe) a line when a stage begins, every few seconds and when it ends. A stage that
 * has ended leaves one line behind on both.
 */
import type { OnProgress, Progress } from '../base/index.ts';
import { formatBytes, formatSeconds, formatShort } from './output.ts';

const LINE_INTERVAL_MS = 5000;
const REDRAW_INTERVAL_MS = 100;
const DEFAULT_COLUMNS = 80;
const BAR_WIDTH = { least: 8, most: 24 } as const;

export interface ProgressDisplay {
  /**
   * Draws a report of a room; `note` stands behind it: parts joined by `, `, the most important first, of which a narrow
   * terminal shows the first ones.
   */
  readonly update: (progress: Progress, note?: string) => void;
  /** {@link update} in the shape rooms take. */
  readonly onProgress: OnProgress;
  /** Writes text above the line that changes. */
  log(text: string): void;
  /** Ends the line that changes: before anything else is printed, and at the end of a stage. A later report begins another. */
  stop(): void;
}

/** @param stream where it is drawn: a line that changes when it is a terminal, lines otherwise */
export function createProgressDisplay(stream: NodeJS.WriteStream, now: () => number): ProgressDisplay {
  return stream.isTTY ? createLive(stream, now) : createLines(stream, now);
}

/** A stage as this process has seen it: what was done before (a resumed run) says nothing of its speed. */
interface StageState {
  readonly startedMs: number;
  readonly doneBefore: number;
  ended: boolean;
}

function createLive(stream: NodeJS.WriteStream, now: () => number): ProgressDisplay {
  const stages = new Map<string, StageState>();
  const line = createLiveLine(stream);
  let current: { progress: Progress; note: string } | undefined;
  let drawnMs = -Infinity;
  const update = (progress: Progress, note = '') => {
    const state = stateOf(stages, progress, now());
    if (isEnd(progress)) {
      if (state.ended) return;
      state.ended = true;
      line.print(summaryOf(progress, note, timingOf(progress, state, now())));
      current = undefined;
      return;
    }
    const changed = current?.progress.stage !== progress.stage;
    current = { progress, note };
    if (!changed && now() - drawnMs < REDRAW_INTERVAL_MS) return;
    drawnMs = now();
    const columns = (stream.columns || DEFAULT_COLUMNS) - 1;
    line.draw(fitLine(progress, note, timingOf(progress, state, now()), columns));
  };
  return {
    update,
    onProgress: (progress) => update(progress),
    log: (text) => line.print(text, true),
    stop() {
      if (current && current.progress.total > 0) line.print(summaryOf(current.progress, current.note));
      else line.clear();
      current = undefined;
    },
  };
}

/** One line at the bottom of a terminal; every write is whole, so nothing is left half drawn. */
function createLiveLine(stream: NodeJS.WriteStream) {
  let drawn = '';
  const erase = () => {
    // The terminal may have become narrower since: then what was one line takes several.
    const rows = Math.ceil(drawn.length / (stream.columns || DEFAULT_COLUMNS));
    return drawn === '' ? '' : `\r${rows > 1 ? `\x1b[${rows - 1}A` : ''}\x1b[J`;
  };
  return {
    draw(text: string) {
      stream.write(`${erase()}${text}`);
      drawn = text;
    },
    clear() {
      if (drawn !== '') stream.write(erase());
      drawn = '';
    },
    /** Writes lines that stay; with `keep` the line that changes stands below them again. */
    print(text: string, keep = false) {
      stream.write(`${erase()}${text}\n${keep ? drawn : ''}`);
      if (!keep) drawn = '';
    },
  };
}

function createLines(stream: NodeJS.WriteStream, now: () => number): ProgressDisplay {
  const stages = new Map<string, StageState>();
  const printedMs = new Map<string, number>();
  const update = (progress: Progress, note = '') => {
    const time = now();
    const state = stateOf(stages, progress, time);
    const ends = isEnd(progress);
    if (state.ended) return;
    if (!ends && time - (printedMs.get(progress.stage) ?? -Infinity) < LINE_INTERVAL_MS) return;
    printedMs.set(progress.stage, time);
    state.ended = ends;
    stream.write(`${summaryOf(progress, note, timingOf(progress, state, time))}\n`);
  };
  return {
    update,
    onProgress: (progress) => update(progress),
    log: (text) => stream.write(`${text}\n`),
    stop: () => undefined,
  };
}

/** A stage that has ended and reports less than all begins again: the next download, say. */
function stateOf(stages: Map<string, StageState>, progress: Progress, nowMs: number): StageState {
  const known = stages.get(progress.stage);
  if (known && (!known.ended || isEnd(progress))) return known;
  const state = { startedMs: nowMs, doneBefore: progress.done, ended: false };
  stages.set(progress.stage, state);
  return state;
}

function isEnd({ done, total }: Progress): boolean {
  return total > 0 && done >= total;
}

function summaryOf(progress: Progress, note: string, timing = ''): string {
  return [progress.stage, percentOf(progress), amountOf(progress), timing, note].filter(Boolean).join(' ');
}

/**
 * The line that changes, at most `columns` wide: the fields that matter most are seated first, and one that finds no room is left
 * out; what is left over goes to further parts of the note and to the bar.
 */
export function fitLine(progress: Progress, note: string, timing: string, columns: number): string {
  const [first = '', ...others] = note.split(', ');
  const byImportance = [
    ['stage', progress.stage.slice(0, columns)],
    ['percent', percentOf(progress)],
    ['note', first],
    ['timing', timing],
    ['bar', progress.total > 0 ? '-'.repeat(BAR_WIDTH.least) : ''],
    ['amount', amountOf(progress)],
  ] as const;
  const seated = new Map<string, string>();
  let room = columns + 1;
  for (const [field, text] of byImportance) {
    if (text === '' || text.length + 1 > room) continue;
    seated.set(field, text);
    room -= text.length + 1;
  }
  for (const part of others) {
    if (!seated.has('note') || part.length + 2 > room) break;
    seated.set('note', `${seated.get('note')}, ${part}`);
    room -= part.length + 2;
  }
  if (seated.has('bar')) {
    seated.set('bar', drawBar(progress, Math.min(BAR_WIDTH.most, BAR_WIDTH.least + room)));
  }
  const shown = ['stage', 'bar', 'percent', 'amount', 'timing', 'note'].map((field) => seated.get(field));
  return shown.filter(Boolean).join(' ');
}

function drawBar({ done, total }: Progress, width: number): string {
  const full = Math.floor((width * done) / total);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

function percentOf({ done, total }: Progress): string {
  return total > 0 ? `${Math.floor((100 * done) / total)}%` : '';
}

function amountOf({ done, total, unit }: Progress): string {
  const format = (value: number) => (unit === 'bytes' ? formatBytes(value) : formatShort(value));
  const label = unit === 'bytes' ? '' : ` ${unit}`;
  return total > 0 ? `${format(done)} / ${format(total)}${label}` : `${format(done)}${label}`;
}

/** How long it took, or how long it will take at the speed of this process. */
function timingOf(progress: Progress, { startedMs, doneBefore }: StageState, nowMs: number): string {
  const seconds = (nowMs - startedMs) / 1000;
  if (isEnd(progress)) return `in ${formatSeconds(seconds)}`;
  const { done, total } = progress;
  const here = done - doneBefore;
  if (total <= 0 || here <= 0 || seconds < 1) return '';
  return `${formatSeconds((seconds * (total - done)) / here)} left`;
}
