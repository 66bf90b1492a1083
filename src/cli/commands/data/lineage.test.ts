import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareConfigSchema, prepareCorpus, tokenizeCorpus } from '../../../prepare/index.ts';
import { saveTokenizer, trainChar } from '../../../tokenizer/index.ts';
import { run } from '../../run.suite.ts';

const root = mkdtempSync(join(tmpdir(), 'dabarex-lineage-'));
const data = join(root, 'data');
let shards: string;
afterAll(() => rmSync(root, { recursive: true, force: true }));

beforeAll(async () => {
  mkdirSync(join(root, 'texts'));
  const texts = Array.from({ length: 30 }, (_, i) => `Text ${i}:   ${'some words, '.repeat(20)}\u00a0\n`);
  for (const [i, text] of texts.entries()) writeFileSync(join(root, 'texts', `${i}.txt`), text);
  const config = prepareConfigSchema.parse({
    domains: { prose: { sources: [{ url: 'file:texts' }] } },
    pipeline: [{ stage: 'normalise' }],
    heldOut: { kind: 'hash', fraction: 0.2 },
  });
  const { documentsDir } = await prepareCorpus(config, {
    dir: data,
    cacheDir: root,
    baseDir: root,
    byKey: true,
  });
  const tokenizerPath = join(root, 'tokenizer.json');
  saveTokenizer(tokenizerPath, trainChar(texts));
  const outDir = join(data, 'shards');
  const options = { documentsDir, tokenizerPath, sampleTokens: 65, outDir, threads: 1, byKey: true };
  shards = join((await tokenizeCorpus(options)).shardsDir, 'train', 'prose');
});

describe('dabarex data lineage', () => {
  it('finds the documents of a sample in the cache, and says that stages changed them', async () => {
    const { stdout, code } = await run(['data', 'lineage', shards, '5', '--json'], { cwd: root });
    expect(code).toBe(0);
    const { split, domain, documents } = JSON.parse(stdout);
    expect({ split, domain }).toEqual({ split: 'train', domain: 'prose' });
    expect(documents[0]).toMatchObject({ source: 'file:texts', first_token: 0, is_changed: true });
    expect(documents[0].path).toMatch(/^\d+\.txt$/);
    expect(documents.at(-1).end_token).toBe(65);
    expect(documents[0].text).toBeUndefined();
  });

  it('prints them for people, with the texts where they are asked for', async () => {
    const { stdout } = await run(['data', 'lineage', shards, '5', '--text'], { cwd: root });
    expect(stdout).toMatch(/^tokens +document +source +path +text$/m);
    expect(stdout).toMatch(/^ *0\.\.\d+ +[0-9a-f]{32} +file:texts +\d+\.txt +changed by stages$/m);
    expect(stdout).toMatch(/--- [0-9a-f]{32}\nText \d+/);
  });

  it('says how many samples there are', async () => {
    const { stderr, code } = await run(['data', 'lineage', shards, '100000'], { cwd: root });
    expect(code).toBe(1);
    expect(stderr).toMatch(/sample_invalid.*has no sample 100000: it has \d+/);
  });
});
