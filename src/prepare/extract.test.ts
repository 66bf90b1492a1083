import { describe, expect, it } from 'vitest';
import { decodeText } from './decode.ts';
import { extractTexts as extract } from './extract.ts';

const extractTexts = (...args: Parameters<typeof extract>) => extract(...args) as string[];

describe('decodeText', () => {
  it('reads UTF-8, falls back to Latin-1, normalises newlines and drops controls', () => {
    expect(decodeText(Buffer.from('\uFEFFcafé\r\nx\ry\0\u0007\tz'))).toEqual({
      text: 'café\nx\ny\tz',
      encoding: 'utf-8',
    });
    expect(decodeText(Buffer.from('café\n', 'latin1'))).toEqual({ text: 'café\n', encoding: 'latin1' });
  });
});

describe('extractTexts', () => {
  it('leaves text as it is and trims code', () => {
    expect(extractTexts('text', '\n a \n\n\n\n')).toEqual(['\n a \n\n\n\n']);
    expect(extractTexts('code', '\n  const a = 1;\n\n')).toEqual(['const a = 1;\n']);
  });

  it('drops comments of Markdown', () => {
    expect(extractTexts('markdown', '# A\n<!-- gone\nall -->\n\n\n\nb  \n')).toEqual(['# A\n\nb\n']);
  });

  it('keeps the prose and code of MDX, not its front matter, imports and bare tags', () => {
    const mdx = [
      '---\ntitle: T\ndescription: "What it is."\n---\n',
      'import { X } from \'./x\';\n\n# T\n\n<Note type="warning">\n  Mind this.\n</Note>\n',
      '{/* hidden */}\n<PropertiesTable\n  content={[{ a: 1 }]}\n/>\n',
      "```tsx\nimport { kept } from 'y';\n<App>\n```\n",
    ].join('\n');
    expect(extractTexts('mdx', mdx)).toEqual([
      "What it is.\n\n# T\n\n  Mind this.\n\n```tsx\nimport { kept } from 'y';\n<App>\n```\n",
    ]);
  });

  it('walks JSON for text, led by its keys without the chapter', () => {
    const json = JSON.stringify({
      Geography: {
        Area: { total: { text: '5 &lt; 6<br>km' }, note: { text: ' ' } },
        Climate: { text: 'mild' },
      },
    });
    expect(extractTexts('json-text', json)).toEqual(['Area, total: 5 < 6\nkm\nClimate: mild\n']);
    expect(extractTexts('json-text', '{cut')).toEqual(['\n']);
  });

  it('pairs the words of WordNet with their gloss and groups the lines', () => {
    const licence = '  1 This software and database is provided | as is\n';
    const line =
      '00001740 03 n 02 physical_entity 0 thing(a) 0 001 ~ 00001930 n 0000 | what exists; "a thing"  \n';
    expect(extractTexts('wordnet', licence + line)).toEqual([
      'physical entity, thing: what exists; "a thing"\n',
    ]);
    const grouped = extractTexts('wordnet', line.repeat(100));
    expect(grouped.map((each) => each.split('\n').length - 1)).toEqual([64, 36]);
  });

  it('strips a stdlib README to its matter, equations as LaTeX', () => {
    const readme = [
      '<!--\n\n@license Apache-2.0\n\n-->\n\n# pdf\n\n<section class="intro">\n\nThe [density][pdf] is &lt; 1:\n',
      '<!-- <equation class="equation" raw="a > b" alt="x"> -->\n\n<div class="equation" data-raw-text="a > b">\n<img src="u">\n</div>\n\n<!-- </equation> -->\n',
      '</section>\n\n* * *\n\n<section class="related">\n\n## See Also\n\n-   other\n\n</section>\n',
      '<section class="links">\n\n[pdf]: https://example.org\n\n</section>\n',
    ].join('\n');
    expect(extractTexts('stdlib-readme', readme)).toEqual(['# pdf\n\nThe density is < 1:\n\n$$a > b$$\n']);
  });
});
