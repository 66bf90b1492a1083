import { expect, it } from 'vitest';
import { Curriculum, curriculumSchema } from './curriculum.ts';
import { MixSchedule } from './mix-schedule.ts';

const curriculum = new Curriculum(
  curriculumSchema.parse([
    { duration: '50step', weights: { a: 1 } },
    { duration: 'rest', weights: { b: 1 } },
  ]),
  { duration: '100step', batchSequences: 1, sequenceLength: 8 },
);
const at = (step: number) => ({ step, tokens: 8 * step, trainingSeconds: 0, progress: step / 100 });
const [x, y] = [
  { a: 0.5, b: 0.5 },
  { a: 0.25, b: 0.75 },
];

it('holds a change from its step on, whatever the phase, until the curriculum is asked for again', () => {
  const schedule = new MixSchedule(curriculum);
  schedule.change({ step: 40, weights: x });
  schedule.change({ step: 60, weights: null });
  expect([39, 40, 55, 60].map((step) => schedule.mixAt(at(step)))).toEqual([{ a: 1 }, x, x, { b: 1 }]);
  expect([49, 50].map((step) => schedule.phaseAt(at(step)))).toEqual([0, 1]);
  expect([39, 40, 60].map((step) => schedule.changedMixAt(step))).toEqual([null, x, null]);
});

it('makes the changes of the log again, without those that a resumed run took another way past', () => {
  const logged = [
    { step: 20, weights: x },
    { step: 40, weights: y },
    { step: 30, weights: null },
  ];
  const schedule = new MixSchedule(curriculum, logged);
  expect([19, 20, 30, 45].map((step) => schedule.mixAt(at(step)))).toEqual([{ a: 1 }, x, { a: 1 }, { a: 1 }]);
});
