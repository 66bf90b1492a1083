import { expect, it } from 'vitest';
import { language, languageOf } from './language.ts';
import { documentsOf, runStage } from './testing/run-stage.ts';

const TEXTS: Readonly<Record<string, string>> = {
  en: 'The meeting has been moved to Thursday afternoon, and she wrote a long letter to her brother in Canada about it.',
  de: 'Die Sitzung wurde auf Donnerstag verschoben, und sie schrieb ihrem Bruder einen langen Brief darüber.',
  fr: 'La réunion a été reportée à jeudi après-midi, et elle a écrit une longue lettre à son frère à ce sujet.',
  es: 'La reunión se ha pasado al jueves por la tarde y ella escribió una larga carta a su hermano.',
  nl: 'De vergadering is verplaatst naar donderdagmiddag en zij schreef haar broer een lange brief.',
  pl: 'Spotkanie zostało przeniesione na czwartek, a ona napisała o tym długi list do brata.',
  tr: 'Toplantı perşembe öğleden sonraya ertelendi ve kardeşine bununla ilgili uzun bir mektup yazdı.',
  ru: 'Встречу перенесли на четверг, и она написала брату длинное письмо об этом.',
  uk: 'Зустріч перенесли на четвер, і вона написала братові довгого листа про це.',
  ja: '会議は木曜日の午後に変更され、彼女は兄に長い手紙を書きました。',
  zh: '会议改到星期四下午，她给哥哥写了一封很长的信。',
  ar: 'تم نقل الاجتماع إلى يوم الخميس وكتبت رسالة طويلة إلى أخيها.',
};

it.each(Object.entries(TEXTS))('knows %s', async (code, text) => {
  expect(await languageOf(text)).toEqual({ code, confidence: 1 });
  expect((await languageOf(`${text}\n`.repeat(200))).code).toBe(code);
});

it('knows no language of numbers, and half of a mixed text', async () => {
  expect((await languageOf('1 + 2 = 3\n4 * 5 = 20\n6 - 7 = -1')).confidence).toBe(0);
  expect(await languageOf('')).toEqual({ code: 'unknown', confidence: 0 });
  const mixed = await languageOf(TEXTS.en!.repeat(40) + TEXTS.de!.repeat(36));
  expect(mixed.confidence).toBeGreaterThan(0.4);
  expect(mixed.confidence).toBeLessThan(0.7);
});

it('notes the language, counts those found, and rejects others', async () => {
  const shard = documentsOf([TEXTS.en!, TEXTS.de!, '0 1 0 1 1']);
  const all = await runStage(language, {}, [shard]);
  expect(all.map((each) => 'keep' in each && each.keep.notes?.language)).toEqual(['en', 'de', 'unknown']);
  const some = await runStage(language, { keep: ['en'] }, [shard]);
  expect(some.map((each) => ('reject' in each ? each.reject : 'kept'))).toEqual([
    'kept',
    'other_language',
    'unknown_language',
  ]);
  expect(some[1]).toMatchObject({ counts: { language_de: 1 }, detail: 'de 1.00' });
  const unsure = await runStage(language, { keep: ['en'], keepUnknown: true }, [shard]);
  expect(unsure[2]).toMatchObject({ keep: { notes: { language: 'unknown', languageConfidence: 0 } } });
});
