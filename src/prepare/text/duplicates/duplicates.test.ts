import { describe, expect, it } from 'vitest';
import { Rng } from '../../../base/index.ts';
import { documentsOf, runStage, textsOf } from '../testing/run-stage.ts';
import { exactDuplicates } from './exact.ts';
import { bandKeys, bandsFor, shingler, sketchOf, sketchSimilarity } from './minhash.ts';
import { nearDuplicates } from './near.ts';

const rng = new Rng(7);

function words(count: number): string[] {
  return Array.from({ length: count }, () => `w${rng.nextUint32() % 50_000}`);
}

/** A copy with `edits` words replaced. */
function edited(text: readonly string[], edits: number): string[] {
  const copy = [...text];
  for (let i = 0; i < edits; i++)
    copy[Math.floor(((i + 0.5) * copy.length) / edits)] = `edit${rng.nextUint32()}`;
  return copy;
}

describe('exact-duplicates', () => {
  it('keeps the first of equal texts, across shards, and says which', async () => {
    const documents = documentsOf(['one', 'two', ' one\n', 'One!', 'two', 'two']);
    const outcomes = await runStage(exactDuplicates, {}, [documents.slice(0, 2), [], documents.slice(2)]);
    expect(textsOf(outcomes)).toEqual(['one', 'two', '(duplicate)', 'One!', '(duplicate)', '(duplicate)']);
    expect(outcomes[5]).toMatchObject({ detail: documents[1]!.id });
    const byWords = await runStage(exactDuplicates, { equality: 'words' }, [documents]);
    expect(textsOf(byWords).slice(0, 4)).toEqual(['one', 'two', '(duplicate)', '(duplicate)']);
  });

  it('cuts paragraphs seen before, within a document too, and rejects one of which nothing stays', async () => {
    const documents = documentsOf(['a a\na\n\n \nb b\n\na a\na\n', '\nb b\n\n\nc\n', 'c\n\nb b\n']);
    const outcomes = await runStage(exactDuplicates, { unit: 'paragraph' }, [documents]);
    expect(textsOf(outcomes)).toEqual(['a a\na\n\n \nb b\n\n', '\nc\n', '(duplicate_paragraphs)']);
    expect(outcomes[1]!.counts).toEqual({ paragraphs_cut: 1, characters_cut: 6 });
    const long = await runStage(exactDuplicates, { unit: 'paragraph', minWords: 3 }, [documents]);
    expect(textsOf(long)).toEqual(['a a\na\n\n \nb b\n\n', documents[1]!.text, documents[2]!.text]);
  });

  it('gives the same in any memory and with any shards', async () => {
    const documents = documentsOf(Array.from({ length: 3000 }, () => `text ${rng.nextUint32() % 1000}`));
    const whole = textsOf(await runStage(exactDuplicates, {}, [documents]));
    const shards = [documents.slice(0, 11), documents.slice(11, 2000), documents.slice(2000)];
    expect(textsOf(await runStage(exactDuplicates, {}, shards, { memoryBytes: 5000 }))).toEqual(whole);
    expect(whole.filter((text) => text !== '(duplicate)').length).toBe(
      new Set(documents.map((d) => d.text)).size,
    );
  });
});

describe('minhash', () => {
  it('chooses bands that find a pair at the threshold', () => {
    expect(bandsFor(0.8, 128, 0.99)).toEqual({ numBands: 21, rows: 6 });
    for (const threshold of [0.3, 0.5, 0.7, 0.9, 0.99]) {
      const { numBands, rows } = bandsFor(threshold, 128, 0.98);
      expect(1 - (1 - threshold ** rows) ** numBands).toBeGreaterThanOrEqual(0.98);
      expect(numBands * rows).toBeLessThanOrEqual(128);
    }
  });

  it('finds candidates as often as the theory of bands says, and measures their similarity exactly', () => {
    const shinglesOf = shingler({ shingle: 'words', shingleSize: 1, minWords: 1 });
    const bands = { numBands: 10, rows: 4 };
    let found = 0;
    const trials = 400;
    for (let seed = 0; seed < trials; seed++) {
      const keysOf = bandKeys(bands, seed);
      const [a, b, common] = [words(40), words(40), words(80)];
      const [x, y] = [
        [...a, ...common],
        [...b, ...common],
      ].map((each) => shinglesOf(each.join(' '))!.slice());
      const exact = new Set(common).size / new Set([...a, ...b, ...common]).size;
      expect(sketchSimilarity(x!, y!)).toBeCloseTo(exact, 1);
      const keysX = keysOf(x!).slice();
      const keysY = keysOf(y!);
      for (let i = 0; i < keysX.length; i += 2) {
        if (keysX[i] === keysY[i] && keysX[i + 1] === keysY[i + 1]) {
          found++;
          break;
        }
      }
    }
    // Jaccard 0.5: 1 - (1 - 0.5^4)^10 = 0.476; the standard error of 400 trials is 0.025
    expect(Math.abs(found / trials - 0.476)).toBeLessThan(0.1);
  });

  it('estimates the similarity of long texts from sketches', () => {
    const shinglesOf = shingler({ shingle: 'words', shingleSize: 5, minWords: 1 });
    const text = words(40_000);
    const [x, y] = [text, edited(text, 800)].map((each) => shinglesOf(each.join(' '))!.slice());
    const exact = jaccard(x!, y!);
    expect(sketchOf(x!).length).toBe(4096);
    expect(Math.abs(sketchSimilarity(sketchOf(x!), sketchOf(y!)) - exact)).toBeLessThan(0.03);
  });

  it('sees neither case, punctuation nor spaces; characters of Chinese are words', () => {
    const shinglesOf = shingler({ shingle: 'words', shingleSize: 2, minWords: 2 });
    expect(shinglesOf('Hello, World -- again')!.slice()).toEqual(shinglesOf('hello world\nAGAIN!')!.slice());
    expect(shinglesOf('人人生而自由')!.length).toBe(5);
    expect(shinglesOf('hello')).toBeUndefined();
    const characters = shingler({ shingle: 'characters', shingleSize: 5, minWords: 1 });
    expect(characters('Abc,  def ghi!')!.slice()).toEqual(characters('abc def\tGHI')!.slice());
    expect(characters('abc def')!.length).toBe(3);
  });
});

function jaccard(x: Uint32Array, y: Uint32Array): number {
  const [a, b] = [new Set(x), new Set(y)];
  const common = [...a].filter((each) => b.has(each)).length;
  return common / (a.size + b.size - common);
}

describe('near-duplicates', () => {
  const originals = Array.from({ length: 300 }, () => words(200));
  const near = originals.slice(0, 100).map((each) => edited(each, 3));
  const far = originals.slice(100, 200).map((each) => edited(each, 12));
  const documents = documentsOf([...originals, ...near, ...far].map((each) => each.join(' ')));

  it('drops edited copies above the threshold and none below', async () => {
    const outcomes = await runStage(nearDuplicates, {}, [documents.slice(0, 250), documents.slice(250)]);
    const dropped = outcomes.flatMap((each, index) => ('reject' in each ? [index] : []));
    expect(dropped).toEqual(Array.from({ length: 100 }, (_, i) => 300 + i));
    expect(outcomes[317]).toEqual({ reject: 'duplicate', detail: documents[17]!.id });
  });

  it('gives the same in any memory, with any shards', async () => {
    const settings = { threshold: 0.4 };
    const whole = await runStage(nearDuplicates, settings, [documents]);
    const shards = [documents.slice(0, 7), [], documents.slice(7, 333), documents.slice(333)];
    expect(await runStage(nearDuplicates, settings, shards, { memoryBytes: 1000 })).toEqual(whole);
    expect(whole.filter((each) => 'reject' in each).length).toBeGreaterThan(100);
  });

  it('keeps the longest where asked', async () => {
    const text = words(100);
    const pair = documentsOf([text.join(' '), [...text, 'more'].join(' '), 'short']);
    expect(textsOf(await runStage(nearDuplicates, { keep: 'longest' }, [pair]))).toEqual([
      '(duplicate)',
      pair[1]!.text,
      'short',
    ]);
  });

  it('cuts near-duplicate paragraphs', async () => {
    const text = words(60);
    const pair = documentsOf([text.join(' '), `own words\n\n${edited(text, 1).join(' ')}\n\nthe end`]);
    expect(textsOf(await runStage(nearDuplicates, { unit: 'paragraph' }, [pair]))[1]).toBe(
      'own words\n\nthe end',
    );
  });

  it('takes a crowd of equal and of unlike texts with one shingle each in linear time', async () => {
    const crowd = documentsOf(Array.from({ length: 3000 }, (_, i) => (i % 2 ? 'same text here' : `t${i}`)));
    const kept = textsOf(await runStage(nearDuplicates, { minWords: 1 }, [crowd]));
    expect(kept.filter((each) => each !== '(duplicate)').length).toBe(1501);
  });
});
