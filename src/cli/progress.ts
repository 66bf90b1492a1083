/**
 * Progress for people: on a terminal one bar a stage with room for a note (loss, tokens/s), elsewhere (a log file, a
 * pipe) a line when a stage begins, every few seconds and when it ends.
 */
import cliProgress from 'cli-progress';
import type { OnProgress, Progress } from '../base/index.ts';
import { formatBytes, formatSeconds, formatShort } from './output.ts';

const LINE_INTERVAL_MS = 5000;

export interface ProgressDisplay {
  /** Draws a report of a room; `note` stands behind the bar. */
  readonly update: (progress: Progress, note?: string) => void;
  /** {@link update} in the shape rooms take. */
  readonly onProgress: OnProgress;
  /** Writes text above the bars. */
  log(text: string): void;
  /** Ends all bars; must be called before anything else is printed. */
  stop(): void;
}

/** @param stream where it is drawn: bars when it is a terminal, lines otherwise */
export function createProgressDisplay(stream: NodeJS.WriteStream, now: () => number): ProgressDisplay {
  return stream.isTTY ? createBars(stream, now) : createLines(stream, now);
}

function createBars(stream: NodeJS.WriteStream, now: () => number): ProgressDisplay {
  const multi = new cliProgress.MultiBar(
    {
      stream,
      format: '{stage} {bar} {percentage}% {amount} {eta_text} {note}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      hideCursor: true,
      fps: 8,
      emptyOnZero: true,
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  const stages = new Map<string, { bar: cliProgress.SingleBar; started: number }>();
  const update = (progress: Progress, note = '') => {
    const known = stages.get(progress.stage);
    const started = known?.started ?? now();
    const seconds = (now() - started) / 1000;
    const payload = {
      stage: progress.stage.padEnd(12),
      amount: amountOf(progress),
      eta_text: etaOf(progress, seconds),
      note,
    };
    const total = progress.total || Math.max(1, progress.done);
    if (!known) {
      stages.set(progress.stage, { bar: multi.create(total, progress.done, payload), started });
      return;
    }
    known.bar.setTotal(total);
    known.bar.update(progress.done, payload);
  };
  return {
    update,
    onProgress: (progress) => update(progress),
    log: (text) => multi.log(`${text}\n`),
    stop: () => multi.stop(),
  };
}

function createLines(stream: NodeJS.WriteStream, now: () => number): ProgressDisplay {
  const stages = new Map<string, { started: number; printed: number; ended: boolean }>();
  const update = (progress: Progress, note = '') => {
    const time = now();
    const state = stages.get(progress.stage) ?? { started: time, printed: -Infinity, ended: false };
    stages.set(progress.stage, state);
    const ends = progress.total > 0 && progress.done >= progress.total;
    if (state.ended && ends) return;
    if (!ends && time - state.printed < LINE_INTERVAL_MS) return;
    state.printed = time;
    state.ended = ends;
    const seconds = (time - state.started) / 1000;
    const percent = progress.total > 0 ? `${Math.floor((100 * progress.done) / progress.total)}%` : '';
    const timing = ends ? `in ${formatSeconds(seconds)}` : etaOf(progress, seconds);
    const parts = [progress.stage, percent, amountOf(progress), timing, note];
    stream.write(`${parts.filter(Boolean).join(' ')}\n`);
  };
  return {
    update,
    onProgress: (progress) => update(progress),
    log: (text) => stream.write(`${text}\n`),
    stop: () => undefined,
  };
}

function amountOf({ done, total, unit }: Progress): string {
  const format = (value: number) => (unit === 'bytes' ? formatBytes(value) : formatShort(value));
  const label = unit === 'bytes' ? '' : ` ${unit}`;
  return total > 0 ? `${format(done)} / ${format(total)}${label}` : `${format(done)}${label}`;
}

function etaOf({ done, total }: Progress, seconds: number): string {
  if (total <= 0 || done <= 0 || done >= total || seconds < 1) return '';
  return `${formatSeconds((seconds * (total - done)) / done)} left`;
}
