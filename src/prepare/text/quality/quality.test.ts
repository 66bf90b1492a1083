import { describe, expect, it } from 'vitest';
import type { TextStage } from '../stage.ts';
import { documentsOf, runStage, textsOf } from '../testing/run-stage.ts';
import { c4 } from './c4.ts';
import { fineweb } from './fineweb.ts';
import { gopherQuality } from './gopher.ts';
import { gopherRepetition } from './gopher-repetition.ts';

const SENTENCES = [
  'The harbour was quiet before the storm came in from the north.',
  'Fishermen had pulled their boats onto the sand and tied them to heavy stones.',
  'An old woman who sold bread at the market said that the birds were flying low.',
  'Nobody laughed, because she had been right about the flood of the year before.',
  'By evening the first waves broke over the wall and filled the cellars with water.',
  'In the morning children went out to collect what the sea had left between the rocks.',
];
const PROSE = SENTENCES.join('\n');

async function verdict<Config>(
  stage: TextStage<Config>,
  text: string,
  settings: unknown = {},
): Promise<string> {
  const [outcome] = await runStage(stage, settings, [documentsOf([text])]);
  return 'reject' in outcome! ? outcome.reject : 'kept';
}

describe('gopher-quality', () => {
  const words = (count: number, word = 'of the ') => word.repeat(count);

  it.each([
    ['kept', PROSE],
    ['too_few_words', SENTENCES[0]!],
    ['too_many_words', words(50_001)],
    ['short_words', 'a to '.repeat(30)],
    ['long_words', 'incomprehensibilities '.repeat(60)],
    ['hash_symbols', `${PROSE}${' #tag'.repeat(12)}`],
    ['ellipsis_symbols', `${PROSE}${' well...'.repeat(12)}`],
    ['bullet_lines', SENTENCES.map((each) => `- ${each}`).join('\n')],
    ['ellipsis_lines', SENTENCES.map((each, i) => (i % 2 ? `${each}..` : each)).join('\n')],
    ['few_alphabetic_words', `${PROSE}${' 1234'.repeat(30)}`],
    ['few_stop_words', 'lovely green gardens bloom every spring '.repeat(10)],
  ])('%s', async (expected, text) => {
    expect(await verdict(gopherQuality, text)).toBe(expected);
  });

  it('keeps what lies at a bound and what a switched-off rule would reject', async () => {
    expect(await verdict(gopherQuality, 'that have '.repeat(25))).toBe('kept');
    expect(await verdict(gopherQuality, `${SENTENCES[0]} Of it.`, { minWords: null })).toBe('kept');
  });
});

describe('gopher-repetition', () => {
  const repeat = (lines: readonly string[], times: number) =>
    Array.from({ length: times }, () => lines).flat();

  it.each([
    ['kept', PROSE],
    ['duplicate_lines', repeat(SENTENCES.slice(0, 3), 2).join('\n')],
    ['duplicate_paragraphs', `${PROSE}\n\nx\n\nx\n\nx`],
    ['top_2gram', 'alpha beta gamma delta '.repeat(20)],
  ])('%s', async (expected, text) => {
    expect(await verdict(gopherRepetition, text)).toBe(expected);
  });

  it('measures each rule by its definition', async () => {
    const off = Object.fromEntries(Object.keys(gopherRepetition.schema.shape).map((key) => [key, null]));
    const only = (key: string, limit: number, text: string) =>
      verdict(gopherRepetition, text, { ...off, [key]: limit });
    // 2 of 4 lines; 10 of 24 characters
    const lines = 'aaaaa\nbbbbbbb\naaaaa\nbbbbbbb';
    expect(await only('maxDuplicateLines', 0.5, lines)).toBe('kept');
    expect(await only('maxDuplicateLines', 0.49, lines)).toBe('duplicate_lines');
    expect(await only('maxDuplicateLineCharacters', 0.49, lines)).toBe('duplicate_line_characters');
    // "ab cd" three times in 30 characters of words
    const top = 'ab cd x1 ab cd x2 ab cd x3 abcdefghijkl';
    expect(await only('maxTop2GramCharacters', 0.4, top)).toBe('kept');
    expect(await only('maxTop2GramCharacters', 0.39, top)).toBe('top_2gram');
    expect(await only('maxTop3GramCharacters', 0, top)).toBe('kept');
    // the second "a b c d e f": all six words are in repeated 5-grams, 6 of 18 characters
    const grams = 'a b c d e f uvwxyz a b c d e f';
    expect(await only('maxDuplicate5GramCharacters', 0.34, grams)).toBe('kept');
    expect(await only('maxDuplicate5GramCharacters', 0.33, grams)).toBe('duplicate_5grams');
    expect(await only('maxDuplicate7GramCharacters', 0, grams)).toBe('kept');
  });

  it('takes megabytes of one word and of one line in linear time', async () => {
    expect(await verdict(gopherRepetition, 'a '.repeat(500_000))).toBe('top_2gram');
    expect(await verdict(gopherRepetition, '\n'.repeat(1_000_000))).toBe('kept');
    expect(await verdict(gopherRepetition, 'a'.repeat(1_000_000))).toBe('kept');
  });
});

describe('c4', () => {
  it('cuts lines that are no sentences and counts them by rule', async () => {
    const extra = ['Home | About | Contact', 'Too short.', 'Please enable Javascript to see this page.'];
    extra.push(
      'By visiting you accept our privacy policy and all of that.',
      'To be continued in the next part...',
    );
    const [outcome] = await runStage(c4, {}, [documentsOf([[...SENTENCES, ...extra].join('\n')])]);
    expect(outcome).toMatchObject({
      keep: { text: PROSE },
      counts: { lines_no_terminal_punctuation: 2, lines_too_short: 1, lines_javascript: 1, lines_policy: 1 },
    });
  });

  it.each([
    ['lorem_ipsum', `${PROSE}\nLorem ipsum dolor sit amet.`, {}],
    ['curly_brace', `${PROSE}\nif (x) {`, {}],
    ['too_few_sentences', SENTENCES.slice(0, 2).join('\n'), {}],
    ['bad_word', PROSE, { badWords: ['Flood'] }],
    ['kept', PROSE, { badWords: ['floo'] }],
    ['kept', `${PROSE}\nif (x) {`, { curlyBrace: false }],
  ])('%s', async (expected, text, settings) => {
    expect(await verdict(c4, text, settings)).toBe(expected);
  });
});

describe('fineweb', () => {
  it.each([
    ['kept', PROSE],
    ['empty', ' \n\n'],
    ['few_punctuated_lines', SENTENCES.map((each) => each.slice(0, -1)).join('\n')],
    ['duplicate_line_characters', [...SENTENCES, SENTENCES[0]].join('\n')],
    ['short_lines', [...SENTENCES.slice(0, 2), 'a.', 'b.', 'c.', 'd.', 'e.'].join('\n')],
  ])('%s', async (expected, text) => {
    expect(await verdict(fineweb, text)).toBe(expected);
  });
});

it('leaves the text of what it keeps as it was', async () => {
  for (const stage of [gopherQuality, gopherRepetition, c4, fineweb] as TextStage<unknown>[]) {
    expect(textsOf(await runStage(stage, {}, [documentsOf([PROSE])]))).toEqual([PROSE]);
  }
});
