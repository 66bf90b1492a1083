import { describe, expect, it } from 'vitest';
import { Curriculum, curriculumSchema } from './curriculum.ts';

/** 100 steps of 32 tokens. */
const run = (duration = '100step') => ({ duration, batchSequences: 4, sequenceLength: 8 });
const atStep = (step: number) => ({ step, tokens: 32 * step, trainingSeconds: 0, progress: step / 100 });
const of = (phases: unknown, duration?: string) =>
  new Curriculum(curriculumSchema.parse(phases), run(duration));
const a = { weights: { a: 1 } };
const b = { weights: { b: 3, a: 1 } };

describe('a curriculum', () => {
  it('changes its mix at the step that its boundary names, in every unit', () => {
    for (const [duration, first, second] of [
      ['100step', '70step', '30step'],
      ['100step', '2240tok', '0.3dur'],
      ['100step', '0.7dur', 'rest'],
      ['3200tok', '70step', '960tok'],
      ['3200tok', '0.7dur', '30step'],
    ]) {
      const curriculum = of(
        [
          { duration: first, ...a },
          { duration: second, ...b },
        ],
        duration,
      );
      expect(curriculum.phaseAt(atStep(69))).toBe(0);
      expect(curriculum.phaseAt(atStep(70))).toBe(1);
      expect(curriculum.mixAt(atStep(69))).toEqual({ a: 1 });
      expect(curriculum.mixAt(atStep(70))).toEqual({ a: 0.25, b: 0.75 });
      expect(curriculum.phaseAt(atStep(100))).toBe(1);
    }
  });

  it('keeps to boundaries that shares of the run round off', () => {
    const tenths = Array.from({ length: 10 }, (_, i) => ({ duration: '0.1dur', weights: { [`d${i}`]: 1 } }));
    const curriculum = of(tenths);
    const phases = Array.from({ length: 100 }, (_, step) => curriculum.phaseAt(atStep(step)));
    expect(phases).toEqual(Array.from({ length: 100 }, (_, step) => Math.floor(step / 10)));
  });

  it('ramps in a straight line over the whole of a phase or a part of it, and stays', () => {
    const whole = of([
      { duration: '60step', ...a },
      { duration: 'rest', ramp: 'linear', ...b },
    ]);
    expect(whole.mixAt(atStep(59))).toEqual({ a: 1 });
    expect(whole.mixAt(atStep(60))).toEqual({ a: 1, b: 0 });
    expect(whole.mixAt(atStep(80))).toEqual({ a: 0.625, b: 0.375 });
    const part = of([
      { duration: '60step', ...a },
      { duration: 'rest', ramp: 'linear', rampFraction: 0.25, ...b },
    ]);
    expect(part.mixAt(atStep(65))).toEqual({ a: 0.625, b: 0.375 });
    expect(part.mixAt(atStep(70))).toEqual({ a: 0.25, b: 0.75 });
    expect(part.mixAt(atStep(99))).toEqual({ a: 0.25, b: 0.75 });
    const sums = [61, 77, 93].map((step) => whole.mixAt(atStep(step))).map(({ a, b }) => a! + b!);
    for (const sum of sums) expect(sum).toBeCloseTo(1, 15);
  });

  it('by the clock ramps in stairs, so that the next steps can be foretold', () => {
    const curriculum = of(
      [
        { duration: '0.5dur', ...a },
        { duration: '50s', ramp: 'linear', ...b },
      ],
      '100s',
    );
    const at = (trainingSeconds: number) => curriculum.mixAt({ ...atStep(0), trainingSeconds }).b;
    expect([at(50), at(50.7), at(50.8), at(75)]).toEqual([0, 0, 0.75 / 64, 0.375]);
  });

  it('knows the shares of the whole run, half the way of a ramp each', () => {
    const steps = of([
      { duration: '0.75dur', weights: { a: 3, b: 1 } },
      { duration: 'rest', weights: { b: 5 } },
    ]);
    expect(steps.meanMix()).toEqual({ a: 0.75 * 0.75, b: 0.75 * 0.25 + 0.25 });
    const ramped = of([
      { duration: '0.5dur', ...a },
      { duration: '0.5dur', ramp: 'linear', rampFraction: 0.5, weights: { b: 1 } },
    ]);
    expect(ramped.meanMix()).toEqual({ a: 0.5 + 0.125, b: 0.375 });
    expect(
      of(
        [
          { duration: '1ep', ...a },
          { duration: '0.5dur', weights: { b: 1 } },
        ],
        '2ep',
      ).meanMix(),
    ).toEqual({
      a: 0.5,
      b: 0.5,
    });
  });
});

describe('a curriculum that does not add up', () => {
  it.each([
    ['lasts longer than the run', ['80step', '30step'], /last 110step together, the run 100step; shorten/],
    ['lasts shorter', ['80step', '0.1dur'], /last 90step together, the run 100step; lengthen.*rest/],
    [
      'leaves no rest',
      ['100step', 'rest'],
      /data\.curriculum\.1\.duration.*leave no rest of the run's 100step/,
    ],
    ['takes the rest too early', ['rest', '1step'], /data\.curriculum\.0\.duration.*only the last/],
    [
      'counts by the clock',
      ['50s', 'rest'],
      /data\.curriculum\.0\.duration: 50s cannot be compared.*100step/,
    ],
    ['counts in epochs', ['1ep', 'rest'], /1ep cannot be compared/],
  ])('because it %s is refused', (_, durations, message) => {
    const phases = durations.map((duration) => ({ duration, ...a }));
    expect(() => of(phases)).toThrow(message);
    expect(() => of(phases)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });

  it('because its first phase ramps is refused', () => {
    expect(() => of([{ duration: 'rest', ramp: 'linear', ...a }])).toThrow(/no phase before the first/);
  });

  it('or has a phase without weights, or of no length, is refused by its schema', () => {
    const refuses = (phase: object) =>
      !curriculumSchema.safeParse([{ duration: 'rest', ...a, ...phase }]).success;
    expect(refuses({})).toBe(false);
    expect(refuses({ weights: { a: 0, b: 0 } })).toBe(true);
    expect(refuses({ weights: { a: Number.POSITIVE_INFINITY } })).toBe(true);
    expect(refuses({ weights: { a: 1e308, b: 1e308 } })).toBe(true);
    expect(refuses({ weights: { a: -1 } })).toBe(true);
    expect(refuses({ duration: '0step' })).toBe(true);
    expect(refuses({ duration: '10' })).toBe(true);
    expect(refuses({ ramp: 'cosine' })).toBe(true);
    expect(refuses({ rampFraction: 1.5 })).toBe(true);
  });
});

describe('a curriculum that a run is resumed with', () => {
  const phases = (change: object[] = []) =>
    of(
      [
        { duration: '40step', ...a },
        { duration: '40step', ramp: 'linear', rampFraction: 0.5, ...b },
        { duration: '20step', ...a },
      ].map((phase, i) => ({ ...phase, ...change[i] })),
    );
  const refusal = (step: number, change: object[]) => {
    try {
      phases().requireSamePast(phases(change), atStep(step), 'runs/x');
    } catch (error) {
      expect(error).toMatchObject({ code: 'curriculum_past_changed' });
      return (error as Error).message;
    }
    return 'accepted';
  };

  it('may be another in what is to come', () => {
    expect(refusal(0, [{ weights: { b: 1 } }])).toBe('accepted');
    expect(refusal(40, [{}, { weights: { c: 1 } }, { ramp: 'linear' }])).toBe('accepted');
    expect(refusal(60, [{}, {}, { weights: { c: 1 } }])).toBe('accepted');
    expect(refusal(70, [{}, { duration: '50step', rampFraction: 0.4 }, { duration: '10step' }])).toBe(
      'accepted',
    );
    expect(refusal(20, [{ weights: { a: 7 } }])).toBe('accepted');
    expect(refusal(20, [{ duration: '20step' }, { duration: '60step' }])).toBe('accepted');
  });

  it('is refused where the past would be another', () => {
    expect(refusal(1, [{ weights: { a: 1, b: 1 } }])).toMatch(
      /step 1, and phase 0.* drew 1 .*"a", which is 0.5 now/,
    );
    expect(refusal(50, [{ duration: '39step' }, { duration: '41step' }])).toMatch(
      /phase 0.*another duration/,
    );
    expect(refusal(41, [{}, { ramp: undefined }])).toMatch(/phase 1.*another ramp/);
    expect(refusal(70, [{}, { duration: '50step' }, { duration: '10step' }])).toMatch(
      /phase 1.*another ramp/,
    );
    expect(refusal(20, [{ duration: '19step' }, { duration: '61step' }])).toMatch(/phase 0.*before where/);
    expect(() => phases().requireSamePast(of([{ duration: 'rest', ...a }]), atStep(50), 'runs/x')).toThrow(
      /phase 0.*another duration/,
    );
  });
});
