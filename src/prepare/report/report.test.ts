import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from 'cheerio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../base/index.ts';
import { prepareConfigSchema } from '../config.ts';
import { prepareCorpus } from '../corpus.ts';
import { html } from './html.ts';
import { renderReport } from './report.ts';

const HOSTILE = `</pre><script>alert(1)</script><img src=x onerror="alert(2)"> \u202eback\u0007`;
let root: string;
let report: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-report-'));
  mkdirSync(join(root, 'web'));
  for (let i = 0; i < 12; i++) {
    const text = i % 4 === 0 ? HOSTILE : `${HOSTILE} said ${i}   \n`.repeat(5);
    writeFileSync(join(root, 'web', `<b>${i}.txt`), text);
  }
  const data = {
    domains: { web: { sources: [{ url: 'file:web' }] } },
    pipeline: [{ stage: 'normalise' }, { stage: 'length', minBytes: 100 }, { stage: 'exact-duplicates' }],
    heldOut: { kind: 'hash', fraction: 0.2 },
  };
  const config = parseConfig(prepareConfigSchema, data, 'test');
  const { documentsDir, manifest } = await prepareCorpus(config, {
    dir: root,
    cacheDir: root,
    baseDir: root,
  });
  report = renderReport('a <recipe>', documentsDir, manifest);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('the report of preparation', () => {
  it('has nothing that runs or is fetched, whatever the data says', () => {
    const $ = load(report);
    expect($('script, img, link, iframe, object, [onerror], [src]')).toHaveLength(0);
    expect($('a')).toHaveLength(0);
    expect($('meta[http-equiv]').attr('content')).toContain("default-src 'none'");
    expect($('h1').text()).toBe('a <recipe>: preparation');
    for (const unshown of ['\u0007', '\u202e']) expect(report).not.toContain(unshown);
  });

  it('shows what each stage removed and why, with the texts themselves', () => {
    const $ = load(report);
    const rows = $('tbody tr')
      .toArray()
      .map((row) =>
        $('td', row)
          .toArray()
          .map((cell) => $(cell).text().trim()),
      );
    const length = rows.find(([stage]) => stage === 'length')!;
    expect(length.slice(1, 5)).toEqual(['web', '12', expect.any(String), '9']);
    expect(length.at(-1)).toBe('too short 3');
    const samples = $('details')
      .toArray()
      .map((each) => $(each).text());
    const tooShort = samples.find((text) => text.includes('length: too short'))!;
    expect(tooShort).toContain('<script>alert(1)</script>');
    expect(tooShort).toContain('<b>0.txt');
    expect($('svg[role=img]').length).toBeGreaterThan(6);
  });

  it('shows texts before and after, the difference marked', () => {
    const $ = load(report);
    const [before, after] = $('.pair').first().find('pre').toArray();
    expect($('mark', before).length + $('mark', after).length).toBe(2);
    expect($(before).text()).not.toBe($(after).text());
  });
});

it('escapes every value of a template, and not the templates in it', () => {
  const inner = html`<b>${'<i>'}</b>`;
  expect(html`${inner}${['&', '"', "'"]}${undefined}${3}`.text).toBe('<b>&lt;i&gt;</b>&amp;&quot;&#39;3');
});
