import { describe, expect, it } from 'vitest';
import { Rng } from '../../../base/index.ts';
import { documentsOf, runStage, surveyStage } from '../testing/run-stage.ts';
import { assess } from './model.ts';
import { classifier } from './stage.ts';

const rng = new Rng(11);
const pick = (words: readonly string[]) => words[rng.nextUint32() % words.length]!;
const COMMON = 'the of and a to in it is was for on that with as at by from they be this'.split(' ');
const GOOD = 'theorem harbour evidence chapter winter argument library meadow'.split(' ');
const BAD = 'winner cash prize click viagra guarantee million offer'.split(' ');
/** Three words in ten tell the kind; one in thirty tells the wrong one. */
const text = (own: readonly string[], other: readonly string[]) =>
  Array.from({ length: 60 }, () => {
    const draw = rng.uniform();
    return draw < 0.3 ? pick(own) : draw < 0.333 ? pick(other) : pick(COMMON);
  }).join(' ');
const good = documentsOf(Array.from({ length: 150 }, () => text(GOOD, BAD)));
const bad = documentsOf(Array.from({ length: 100 }, () => text(BAD, GOOD)));
const settings = { good: [{ url: 'file:good' }], bad: [{ url: 'file:bad' }], bits: 16 };
const train = (more: object = {}) =>
  surveyStage(classifier, classifier.schema.parse({ ...settings, ...more }), [], { sources: [good, bad] });

describe('classifier', () => {
  it('learns from labelled sources, says how well, and scores and rejects', async () => {
    const shard = documentsOf([text(GOOD, BAD), text(BAD, GOOD)]);
    const outcomes = await runStage(classifier, settings, [shard], { sources: [good, bad] });
    expect(outcomes[0]).toMatchObject({
      keep: { id: shard[0]!.id, notes: { quality: expect.closeTo(1, 0) } },
    });
    expect(outcomes[1]).toMatchObject({ reject: 'low_quality' });
    const figures = classifier.survey!.describe!((await train())!);
    expect(figures.held_out_accuracy).toBeGreaterThan(0.95);
    expect(figures.held_out_auc).toBeGreaterThan(0.99);
    expect(figures.train_documents! + figures.held_out_documents!).toBe(250);
  });

  it('learns the same to the bit every time, and another model by another seed', async () => {
    const first = Buffer.from((await train())!);
    expect(first.equals((await train())!)).toBe(true);
    expect(first.equals((await train({ seed: 2 }))!)).toBe(false);
  });

  it('works from a saved model as from the one it learned', async () => {
    const saved = documentsOf([Buffer.from((await train())!).toString()]);
    const model = { model: { url: 'file:model.json' }, threshold: null, note: 'ham' };
    const [byModel] = await runStage(classifier, model, [good.slice(0, 1)], { sources: [saved] });
    const [byLearning] = await runStage(classifier, settings, [good.slice(0, 1)], { sources: [good, bad] });
    const scoreOf = (outcome: unknown) =>
      Object.values((outcome as { keep: { notes: object } }).keep.notes)[0];
    expect(scoreOf(byModel)).toBe(scoreOf(byLearning));
    const broken = documentsOf([saved[0]!.text.replace(/"weights":"..../, '"weights":"')]);
    for (const sources of [[broken], [documentsOf(['{}'])], [[]]]) {
      await expect(runStage(classifier, model, [good], { sources })).rejects.toMatchObject({
        code: 'documents_invalid',
      });
    }
  });

  it('refuses settings without labels and labels of one kind', async () => {
    expect(() => classifier.schema.parse({})).toThrow('good and bad');
    const run = runStage(classifier, settings, [good], { sources: [good, good] });
    await expect(run).rejects.toMatchObject({ code: 'data_empty' });
  });
});

it('assesses by accuracy and by the area under the curve', () => {
  expect(assess([0.9, 0.8, 0.4, 0.1], [true, false, true, false])).toEqual({ accuracy: 0.5, auc: 0.75 });
  expect(assess([0.5, 0.5], [true, false])).toEqual({ accuracy: 0.5, auc: 0.5 });
});
