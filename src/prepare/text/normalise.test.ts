import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identified } from '../documents.ts';
import { repairMojibake } from './mojibake.ts';
import { normalise, normaliseText } from './normalise.ts';

/** What a reader that takes UTF-8 for Windows-1252 makes of a text. */
function misread(text: string): string {
  const specials = new TextDecoder('windows-1252');
  return specials.decode(Buffer.from(text));
}

describe('repairMojibake', () => {
  const GOOD = [
    'It’s “fine” – really… naïve café',
    'Füße, Größe, schön',
    'Zażółć gęślą jaźń',
    'Привет, мир',
    'Γειά σου Κόσμε',
    'こんにちは世界',
    'price: 10 €',
    'smile 😀 done',
  ];

  it.each(GOOD)('restores %s, misread once and twice', (text) => {
    expect(repairMojibake(misread(text)).text).toBe(text);
    expect(repairMojibake(misread(misread(text))).text).toBe(text);
  });

  it.each([
    ...GOOD,
    'Er sagte: „So ein Spaß“ und ging.',
    'AMANHÔ e “IRMÔ',
    '»GROSSES Ö«',
    'Le prix « réduit à… » — voilà',
    'Łódź, Ångström, × 3, 5 ° C, Ä–Ö',
    'el niño™ café® Ñ²',
    'tiếng Việt có dấu ÂÃ',
  ])('leaves good text: %s', (text) => {
    expect(repairMojibake(text)).toEqual({ text, repairs: 0 });
  });

  it('restores Latin-1 readings, with controls in them', () => {
    expect(repairMojibake(Buffer.from('don’t').toString('latin1')).text).toBe('don’t');
  });

  it('never changes ASCII and never fails', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0x20, max: 0x2122 })), (codes) => {
        const text = String.fromCharCode(...codes);
        const repaired = repairMojibake(text).text;
        // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
        const ascii = (each: string) => each.replace(/[^\u0000-\u007f]/g, '');
        expect(ascii(repaired)).toBe(ascii(text));
      }),
    );
  });
});

describe('normalise', () => {
  const config = normalise.schema.parse({});

  it('gives one form to line ends, spaces and composed characters, and drops what shows nothing', () => {
    const { text, counts } = normaliseText(
      'a\r\nb\rc\u2028d\u00a0e\u3000f \t\n\n\n\n\n\nzero\u200bwidth\u0007 e\u0301 \ud800!\ufeff',
      config,
    );
    expect(text).toBe('a\nb\nc\nd e f\n\n\nzerowidth é \ufffd!');
    expect(counts).toEqual({ characters_dropped: 3 });
  });

  it('keeps joiners where they mean something', () => {
    expect(normaliseText('👩‍👩‍👧 می‌خواهم a\u200db\u200c', config).text).toBe('👩‍👩‍👧 می‌خواهم ab');
  });

  it('keeps indentation and inner spaces of code unless told, and quotes', () => {
    const code = 'if (x) {\n\tlet  y = "1";\n    z‘’“”\n}';
    expect(normaliseText(code, config).text).toBe(code);
    expect(
      normaliseText(code, normalise.schema.parse({ whitespace: 'collapse', straightQuotes: true })).text,
    ).toBe('if (x) {\n let y = "1";\n z\'\'""\n}');
  });

  it('is a stage that keeps the identity of a document and changes nothing twice', async () => {
    const document = identified({ source: 's', path: 'p', text: misread('don’t \r\nstop') });
    const stage = normalise.create(config);
    const outcome = await stage(document, { shard: 0, index: 0 });
    const keep = { ...document, text: 'don’t\nstop' };
    expect(outcome).toEqual({ keep, counts: { mojibake_repaired: 1 } });
    expect(await stage(keep, { shard: 0, index: 0 })).toEqual({ keep, counts: {} });
  });

  it('takes hostile megabytes in linear time', () => {
    for (const unit of [' ', '\n', '\t', '\u200d', 'Ã', 'Ã©', 'â€', '\u0301', '\ud800', '\u00a0\n']) {
      const text = `${unit.repeat(1_000_000 / unit.length)}é`;
      expect(normaliseText(text, config).text.length).toBeLessThanOrEqual(text.length);
    }
  });
});
