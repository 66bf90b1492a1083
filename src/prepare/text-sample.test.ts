import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeFilePartsAtomic } from '../base/index.ts';
import { prepareConfigSchema } from './config.ts';
import { prepareCorpus } from './corpus.ts';
import { type Document, identified } from './documents.ts';
import { writeManifest } from './manifest.ts';
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

it('takes those with the smallest hashes, whatever their order', async () => {
  const path = join(documentsDir, 'train', 'a.jsonl');
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const documents = lines.map((line): Document => JSON.parse(line)).sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const trainBytes of [1, 300, 301, 4000, 1e9]) {
    const wanted = documents.slice(0, Math.ceil(trainBytes / 300)).map(({ text }) => text);
    expect(await sampleTexts({ documentsDir, trainBytes, weights: { a: 1 } })).toEqual(wanted);
  }
});

it('draws from a corpus that is larger than its memory', () => {
  const dir = join(root, 'large');
  mkdirSync(join(dir, 'train'), { recursive: true });
  const text = 'some words of the corpus '.repeat(4000);
  const lineOf = (i: number) =>
    Buffer.from(`${JSON.stringify(identified({ source: 's', path: String(i), text: `${i} ${text}` }))}\n`);
  writeFilePartsAtomic(
    join(dir, 'train', 'web.jsonl'),
    Array.from({ length: 400 }, (_, i) => lineOf(i)),
  );
  const domains = { web: { train: { documents: 400, bytes: 4e7 } } };
  writeManifest(dir, { key: 'k', files: [], ...{ domains } });
  const script = `const { sampleTexts } = await import(${JSON.stringify(new URL('./text-sample.ts', import.meta.url).href)});
    const texts = await sampleTexts({ documentsDir: ${JSON.stringify(dir)}, trainBytes: 1e6 });
    console.log(texts.length);`;
  const args = ['--max-old-space-size=32', '--import', 'tsx', '--input-type=module', '-e', script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stdout || stderr).toBe('10\n');
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
