/** How long something lasts, in one type with its unit: `2000step`, `10Mtok`, `2ep`, `15min`, `90s`, `0.1dur`. */
import { z } from 'zod';
import { assert, DabarexError } from '../base/index.ts';

export interface Duration {
  /** `ep`: as many tokens as all training samples hold; {@link withoutEpochs} makes tokens of it */
  readonly unit: 'step' | 'tok' | 'ep' | 's' | 'dur';
  readonly value: number;
}

/** Where a run stands, in every unit. */
export interface Position {
  readonly step: number;
  readonly tokens: number;
  readonly trainingSeconds: number;
  /** share of the whole run, 0..1 */
  readonly progress: number;
}

const PATTERN = /^(\d+(?:\.\d+)?)(k|M|G)?(step|tok|ep|s|min|h|dur)$/;
const FACTORS = { k: 1e3, M: 1e6, G: 1e9 } as const;
const SECONDS = { s: 1, min: 60, h: 3600 } as const;

/** @throws config_invalid for text that is no duration */
export function parseDuration(text: string): Duration {
  const match = PATTERN.exec(text);
  if (!match) {
    throw new DabarexError(
      'config_invalid',
      `"${text}" is no duration. Write a number and a unit: 2000step, 10Mtok, 2ep, 15min, 90s or 0.1dur (share of the run).`,
      { value: text },
    );
  }
  const [, number, factor, unit] = match as unknown as [
    string,
    string,
    keyof typeof FACTORS | undefined,
    string,
  ];
  const value = Number(number) * (factor ? FACTORS[factor] : 1);
  if (unit in SECONDS) return { unit: 's', value: value * SECONDS[unit as keyof typeof SECONDS] };
  return { unit: unit as Duration['unit'], value };
}

/** In a recipe: text that {@link parseDuration} reads. */
export const durationSchema = z
  .string()
  .regex(PATTERN, {
    message: 'write a number and a unit: 2000step, 10Mtok, 2ep, 15min, 90s or 0.1dur (share of the run)',
    abort: true,
  })
  .refine((text) => parseDuration(text).value > 0, { message: 'must be more than 0' })
  .refine((text) => parseDuration(text).value <= Number.MAX_SAFE_INTEGER, {
    message: 'must be at most 2^53 - 1',
  });

/** The same duration with its epochs as tokens. @param epochTokens what all training samples hold */
export function withoutEpochs(text: string, epochTokens: number): string {
  const { unit, value } = parseDuration(text);
  return unit === 'ep' ? `${Math.round(value * epochTokens)}tok` : text;
}

/** How far `position` is, in the duration's unit. */
export function measure(duration: Duration, position: Position): number {
  if (duration.unit === 'step') return position.step;
  if (duration.unit === 'tok') return position.tokens;
  assert(duration.unit !== 'ep', 'epochs are measured in tokens');
  return duration.unit === 's' ? position.trainingSeconds : position.progress;
}

/** Whether a multiple of `interval` lies in (before, after]. */
export function crossed(interval: Duration, before: Position, after: Position): boolean {
  const count = (position: Position) => Math.floor(measure(interval, position) / interval.value + 1e-9);
  return count(after) > count(before);
}
