import { describe, expect, it } from 'vitest';
import { crossed, durationSchema, parseDuration, withoutEpochs } from './duration.ts';

const at = (step: number, tokens = 0, trainingSeconds = 0, progress = 0) => ({
  step,
  tokens,
  trainingSeconds,
  progress,
});

describe('durations', () => {
  it('reads every unit', () => {
    expect(parseDuration('2000step')).toEqual({ unit: 'step', value: 2000 });
    expect(parseDuration('1.5Mtok')).toEqual({ unit: 'tok', value: 1_500_000 });
    expect(parseDuration('15min')).toEqual({ unit: 's', value: 900 });
    expect(parseDuration('0.1dur')).toEqual({ unit: 'dur', value: 0.1 });
  });

  it('counts epochs in tokens', () => {
    expect(['1.5ep', '10step', '0.5dur'].map((text) => withoutEpochs(text, 1001))).toEqual([
      '1502tok',
      '10step',
      '0.5dur',
    ]);
    expect(parseDuration('2ep')).toEqual({ unit: 'ep', value: 2 });
  });

  it('refuses none, and more than can be counted', () => {
    const accepts = (text: string) => durationSchema.safeParse(text).success;
    expect(['1step', '9Gtok', '0step', '99999999999999999999step'].map(accepts)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('refuses what has no unit, naming the text', () => {
    expect(() => parseDuration('2000')).toThrow(/"2000" is no duration/);
  });

  it('fires once for every multiple', () => {
    const every = parseDuration('10step');
    const fired = Array.from({ length: 40 }, (_, i) => i + 1).filter((step) =>
      crossed(every, at(step - 1), at(step)),
    );
    expect(fired).toEqual([10, 20, 30, 40]);
    expect(crossed(parseDuration('100tok'), at(1, 90), at(2, 310))).toBe(true);
    expect(crossed(parseDuration('0.5dur'), at(1, 0, 0, 0.4), at(2, 0, 0, 0.49))).toBe(false);
  });
});
