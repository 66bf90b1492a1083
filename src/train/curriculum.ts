/**
 * The curriculum: which mix of domains a run draws from, and when. Phases follow one another; each has weights of the
 * domains and may ramp to them, in a straight line, from those of the phase before. The mix of a step is a pure function
 * of where the run stands at its beginning, so a resumed run finds it again.
 * After LLM Foundry's `curriculum_learning`: durations add up to the run's, a swap falls between two steps, the schedule
 * of the learning rate knows nothing of it.
 */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import { type Duration, measure, type Position, parseDuration } from './duration.ts';

/** Shares of the domains; they sum to 1. */
export type Mix = Readonly<Record<string, number>>;

const REST = 'rest';

export const phaseConfigSchema = z.strictObject({
  /** from where the phase before ended, in the unit of the run or in `dur`; the last may say `rest` */
  duration: z
    .string()
    .regex(/^(rest|\d+(?:\.\d+)?(k|M|G)?(step|tok|ep|s|min|h|dur))$/, {
      message:
        'write a number and a unit: 2000step, 10Mtok, 2ep or 0.8dur (share of the run); the last may say rest',
      abort: true,
    })
    .refine((text) => text === REST || parseDuration(text).value > 0, { message: 'must be more than 0' }),
  /** relative weight of every domain; a domain left out has 0 */
  weights: z
    .record(z.string(), z.number().nonnegative())
    .refine((weights) => isFinitePositive(sumOf(weights)), { message: 'at least one must not be 0' }),
  /** how the mix gets from the phase before to this one; absent: at once */
  ramp: z.enum(['linear']).optional(),
  /** share of the phase that the ramp takes */
  rampFraction: z.number().positive().max(1).default(1),
});

export const curriculumSchema = z.array(phaseConfigSchema).min(1);

export type PhaseConfig = z.output<typeof phaseConfigSchema>;

/** What a curriculum must know of its run. */
export interface RunLength {
  readonly duration: string;
  readonly batchSequences: number;
  readonly sequenceLength: number;
}

interface Phase {
  /** in the unit of the run */
  readonly start: number;
  readonly end: number;
  readonly rampEnd: number;
  readonly mix: Mix;
}

/** The ramp of a run measured by the clock moves in so many stairs, so that the mix of the next steps can be foretold. */
const CLOCK_STAIRS = 64;
/** Of a boundary, relative: what rounding may do to a share of the run. */
const TOLERANCE = 1e-9;

export class Curriculum {
  private readonly duration: Duration;
  private readonly phases: readonly Phase[];

  /**
   * @param where what the phases are called in messages
   * @throws config_invalid for durations that do not add up to the run's or cannot be compared with it, and for a ramp in
   * the first phase
   */
  constructor(phases: readonly PhaseConfig[], run: RunLength, where = 'data.curriculum') {
    this.duration = parseDuration(run.duration);
    const lengths = phases.map(({ duration }, i) =>
      duration === REST ? REST : lengthInRun(duration, run, this.duration, `${where}.${i}.duration`),
    );
    const ends = endsOf(lengths, this.duration, run.duration, where);
    this.phases = phases.map(({ weights, ramp, rampFraction }, i) => {
      const start = i === 0 ? 0 : ends[i - 1]!;
      if (ramp && i === 0)
        throw invalid(`${where}.0.ramp`, 'there is no phase before the first to ramp from');
      const rampEnd = ramp ? start + rampFraction * (ends[i]! - start) : start;
      return { start, end: ends[i]!, rampEnd, mix: normalise(weights) };
    });
  }

  get numPhases(): number {
    return this.phases.length;
  }

  /** The phase that a step beginning at `position` belongs to. */
  phaseAt(position: Position): number {
    const at = this.measure(position);
    const next = this.phases.findIndex(({ end }) => at < end - TOLERANCE * end);
    return next < 0 ? this.phases.length - 1 : next;
  }

  /** The mix of a step beginning at `position`: that of the phase, or on the way to it. */
  mixAt(position: Position): Mix {
    const index = this.phaseAt(position);
    const { start, rampEnd, mix } = this.phases[index]!;
    const at = this.measure(position);
    if (at >= rampEnd) return mix;
    const covered = Math.max(0, (at - start) / (rampEnd - start));
    const stairs = this.duration.unit === 's' ? Math.floor(covered * CLOCK_STAIRS) / CLOCK_STAIRS : covered;
    return blend(this.phases[index - 1]!.mix, mix, stairs);
  }

  /** The shares of the domains over the whole run. */
  meanMix(): Mix {
    const mean: Record<string, number> = {};
    const add = (mix: Mix, share: number) => {
      for (const [name, weight] of Object.entries(mix)) mean[name] = (mean[name] ?? 0) + share * weight;
    };
    const total = this.phases.at(-1)!.end;
    for (const [i, { start, end, rampEnd, mix }] of this.phases.entries()) {
      const ramped = (rampEnd - start) / total;
      if (ramped > 0) add(this.phases[i - 1]!.mix, ramped / 2);
      add(mix, (end - start) / total - ramped / 2);
    }
    return mean;
  }

  /**
   * What a run that stands at `position` has drawn from must be in `after` as it is here; phases to come, and how long the
   * one at hand still lasts, may be others.
   * @param where the run, for the message
   * @throws curriculum_past_changed naming the phase and what differs
   */
  requireSamePast(after: Curriculum, position: Position, where: string): void {
    const at = this.measure(position);
    const begun = this.phases.filter(({ start }) => at > start + TOLERANCE * start);
    for (const [i, phase] of begun.entries()) {
      const other = after.phases[i];
      const found = other ? differenceOf(phase, other, at) : 'is gone';
      if (found) throw pastChanged(i, found, position, where);
    }
  }

  /** How far the run is, in its unit. */
  private measure(position: Position): number {
    const { unit, value } = this.duration;
    return unit === 'ep' ? position.progress * value : measure(this.duration, position);
  }
}

/** What is not the same of a phase that has begun, up to `at` and to the end of its ramp. */
function differenceOf(phase: Phase, other: Phase, at: number): string | undefined {
  const isSame = (a: number, b: number) => Math.abs(a - b) <= TOLERANCE * Math.max(a, b);
  const names = new Set([...Object.keys(phase.mix), ...Object.keys(other.mix)]);
  const changed = [...names].find((name) => !isSame(phase.mix[name] ?? 0, other.mix[name] ?? 0));
  if (changed !== undefined) {
    const shares = [phase, other].map(({ mix }) => Number((mix[changed] ?? 0).toPrecision(4)));
    return `drew ${shares[0]} of its samples from "${changed}", which is ${shares[1]} now`;
  }
  if (!isSame(phase.rampEnd, other.rampEnd)) return 'has another ramp now';
  if (at >= phase.end * (1 - TOLERANCE)) {
    return isSame(phase.end, other.end) ? undefined : 'is over and has another duration now';
  }
  if (other.end < at * (1 - TOLERANCE)) return 'would have ended before where the run stands';
  return undefined;
}

function pastChanged(phase: number, found: string, position: Position, where: string): DabarexError {
  return new DabarexError(
    'curriculum_past_changed',
    `${where} stands at step ${position.step}, and phase ${phase} of data.curriculum, which it has drawn from, ${found}. ` +
      'Set it back; phases to come may change, and the mix of a running job through "dabarex runs mix".',
    { path: where, phase, step: position.step },
  );
}

/** Weights as shares. */
export function normalise(weights: Readonly<Record<string, number>>): Mix {
  const total = sumOf(weights);
  return Object.fromEntries(Object.entries(weights).map(([name, weight]) => [name, weight / total]));
}

function blend(from: Mix, to: Mix, covered: number): Mix {
  const names = new Set([...Object.keys(from), ...Object.keys(to)]);
  return Object.fromEntries(
    [...names].map((name) => [name, (1 - covered) * (from[name] ?? 0) + covered * (to[name] ?? 0)]),
  );
}

/** A phase's duration in the unit of the run. */
function lengthInRun(text: string, run: RunLength, duration: Duration, where: string): number {
  const { unit, value } = parseDuration(text);
  if (unit === 'dur') return value * duration.value;
  if (unit === duration.unit) return value;
  const tokensPerStep = run.batchSequences * run.sequenceLength;
  if (unit === 'tok' && duration.unit === 'step') return value / tokensPerStep;
  if (unit === 'step' && duration.unit === 'tok') return value * tokensPerStep;
  throw invalid(
    where,
    `${text} cannot be compared with the run's duration, ${run.duration}; give it in the same unit, or as a share (0.8dur)`,
  );
}

function endsOf(
  lengths: readonly (number | typeof REST)[],
  { value: total, unit }: Duration,
  runDuration: string,
  where: string,
): number[] {
  const ends: number[] = [];
  let end = 0;
  for (const [i, length] of lengths.entries()) {
    if (length === REST) {
      if (i < lengths.length - 1)
        throw invalid(`${where}.${i}.duration`, 'only the last phase may be the rest');
      if (end >= total * (1 - TOLERANCE)) {
        throw invalid(
          `${where}.${i}.duration`,
          `the phases before leave no rest of the run's ${runDuration}`,
        );
      }
      end = total;
    } else end += length;
    ends.push(end);
  }
  if (Math.abs(end - total) > total * TOLERANCE) {
    const sum = `${Number(end.toPrecision(12))}${unit}`;
    const hint = end > total ? 'shorten a phase' : 'lengthen one, or let the last say rest';
    throw invalid(where, `the phases last ${sum} together, the run ${runDuration}; ${hint}`);
  }
  ends[ends.length - 1] = total;
  return ends;
}

function sumOf(weights: Readonly<Record<string, number>>): number {
  return Object.values(weights).reduce((sum, weight) => sum + weight, 0);
}

function isFinitePositive(value: number): boolean {
  return value > 0 && Number.isFinite(value);
}

function invalid(path: string, problem: string): DabarexError {
  return new DabarexError('config_invalid', `${path}: ${problem}.`, { path });
}
