import { expect, it } from 'vitest';
import { Rng } from '../../base/index.ts';
import { decontaminate } from './decontaminate.ts';
import { documentsOf, runStage, textsOf } from './testing/run-stage.ts';

const rng = new Rng(3);
const words = (count: number) => Array.from({ length: count }, () => `w${rng.nextUint32() % 9999}`).join(' ');
const question = `What is the capital of ${words(12)}?`;
const short = 'Name the eight planets that circle our sun.';
const evaluation = documentsOf([question, short, 'Too short to matter.']);
const settings = { sources: [{ url: 'file:evaluation.txt' }] };
const run = (texts: string[], more: object = {}) =>
  runStage(decontaminate, { ...settings, ...more }, [documentsOf(texts)], { sources: [evaluation] });

it('drops documents with a run of words of an evaluation text, however it is written', async () => {
  const texts = [
    `${words(50)} ${question.toUpperCase().replaceAll(' ', ' -- ')} ${words(50)}`,
    `${words(50)}\n${short} ${words(50)}`,
    `${words(50)} ${question.split(' ').slice(0, 12).join(' ')} ${words(50)}`,
    `${words(50)} Too short to matter. ${words(50)}`,
  ];
  expect(textsOf(await run(texts))).toEqual(['(contaminated)', '(contaminated)', texts[2], texts[3]]);
  const tolerant = await run(texts, { maxShare: 0.1 });
  expect(textsOf(tolerant)).toEqual(texts);
  expect(tolerant[0]!.counts).toEqual({ ngrams_found: 5 });
});

it('cuts the spans with a margin, and drops what is cut to pieces', async () => {
  const [before, after] = [words(100), words(100)];
  const [outcome] = await run([`${before} ${question} ${after}`], { action: 'cut', margin: 30 });
  const text = 'keep' in outcome! ? outcome.keep.text : '';
  const [left, right] = text.trim().split('\n\n');
  expect(before.startsWith(left!)).toBe(true);
  expect(after.endsWith(right!)).toBe(true);
  expect(before.length - left!.length).toBeLessThan(32);
  expect(after.length - right!.length).toBeLessThan(32);
  const many = Array.from({ length: 12 }, () => `${words(60)} ${question}`).join(' ');
  expect(textsOf(await run([many, question], { action: 'cut', margin: 10 }))).toEqual([
    '(contaminated)',
    '(contaminated)',
  ]);
});
