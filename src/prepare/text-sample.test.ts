import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { prepareConfigSchema } from './config.ts';
import { prepareCorpus } from './corpus.ts';
import { SampleCutter } from './sample-cutter.ts';
import { sampleTexts } from './text-sample.ts';

let root: string;
let documentsDir: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-sample-'));
  for (const [domain, size] of Object.entries({ a: 300, b: 100 })) {
    mkdirSync(join(root, domain));
    for (let i = 0; i < 50; i++) {
      const text = `${domain}${String(i).padStart(2, '0')} `.repeat(size / 4);
      writeFileSync(join(root, domain, `${i}.txt`), text);
    }
  }
  const domains = { a: { sources: [{ url: 'file:a' }] }, b: { sources: [{ url: 'file:b' }] } };
  const config = prepareConfigSchema.parse({ domains });
  ({ documentsDir } = await prepareCorpus(config, { dir: root, cacheDir: root, baseDir: root }));
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

const bytesOf = (texts: string[], domain: string) =>
  texts.filter((text) => text.startsWith(domain)).join('').length;

it('samples the domains by size or by weight, the same each time', async () => {
  const bySize = await sampleTexts({ documentsDir, trainBytes: 4000 });
  expect(bytesOf(bySize, 'a')).toBe(3000);
  expect(bytesOf(bySize, 'b')).toBe(1000);
  expect(await sampleTexts({ documentsDir, trainBytes: 4000 })).toEqual(bySize);
  const weighted = await sampleTexts({ documentsDir, trainBytes: 4000, weights: { a: 1, b: 3 } });
  expect(bytesOf(weighted, 'a')).toBe(1200);
  expect(bytesOf(weighted, 'b')).toBe(3000);
});

it('says which domains there are when the weights name none', async () => {
  await expect(sampleTexts({ documentsDir, trainBytes: 1, weights: { c: 1 } })).rejects.toMatchObject({
    code: 'config_invalid',
    fields: { domains: 'a, b' },
  });
});

it('refuses a folder without a finished corpus', async () => {
  await expect(sampleTexts({ documentsDir: root, trainBytes: 1 })).rejects.toMatchObject({
    code: 'documents_invalid',
  });
});

it('cuts tokens into samples that overlap by one, whatever the sizes they come in', () => {
  for (const step of [1, 3, 4, 100]) {
    const samples: number[][] = [];
    const cutter = new SampleCutter(4, (sample) => samples.push([...sample]));
    for (let at = 0; at < 12; at += step) {
      cutter.push(Int32Array.from({ length: Math.min(step, 12 - at) }, (_, i) => at + i));
    }
    expect(samples).toEqual([
      [0, 1, 2, 3],
      [3, 4, 5, 6],
      [6, 7, 8, 9],
    ]);
    expect(cutter.numSamples).toBe(3);
  }
});
