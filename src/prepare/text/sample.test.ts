import { expect, it } from 'vitest';
import { sample } from './sample.ts';
import { withNotes } from './stage.ts';
import { documentsOf, runStage } from './testing/run-stage.ts';

const documents = documentsOf(Array.from({ length: 4000 }, (_, i) => `text ${i}`)).map((each, i) =>
  withNotes(each, { quality: i / 4000 }),
);
const kept = async (settings: object, shards = [documents]) =>
  (await runStage(sample, settings, shards)).flatMap((each) => ('keep' in each ? each.keep : []));

it('keeps a share by hash, the same wherever the documents stand', async () => {
  const some = await kept({ fraction: 0.25 });
  expect(Math.abs(some.length / 4000 - 0.25)).toBeLessThan(0.03);
  const reversed = await kept({ fraction: 0.25 }, [[...documents].reverse()]);
  expect(new Set(reversed)).toEqual(new Set(some));
  expect(await kept({ fraction: 0.25, seed: 2 })).not.toEqual(some);
});

it('keeps by score: a bound, or more likely the better', async () => {
  expect((await kept({ score: 'quality', minScore: 0.75 })).length).toBe(1000);
  const drawn = await kept({ score: 'quality', paretoAlpha: 9 });
  const inHalf = (low: number) =>
    drawn.filter(({ notes }) => Number(notes!.quality) >= low && Number(notes!.quality) < low + 0.5).length;
  // P(keep | s) = (2 - s)^-9: 0.2 % at 0, 2.6 % at a half, all at 1
  expect(inHalf(0.5) / 2000).toBeGreaterThan(0.2);
  expect(inHalf(0) / 2000).toBeLessThan(0.03);
});

it('rejects a document without the score', async () => {
  const [outcome] = await runStage(sample, { score: 'toxicity', minScore: 0 }, [documents.slice(0, 1)]);
  expect(outcome).toEqual({ reject: 'no_score', detail: 'toxicity' });
  expect(() => sample.schema.parse({ minScore: 1 })).toThrow('need score');
});
