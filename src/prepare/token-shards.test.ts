import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MdsReader } from '../stream/index.ts';
import { saveTokenizer, type Tokenizer, trainChar } from '../tokenizer/index.ts';
import { prepareConfigSchema } from './config.ts';
import { prepareCorpus } from './corpus.ts';
import { readDocuments } from './documents.ts';
import { sampleLineage } from './lineage.ts';
import { SPLITS } from './split.ts';
import { tokenizeCorpus } from './token-shards.ts';

let root: string;
let documentsDir: string;
let tokenizerPath: string;
let tokenizer: Tokenizer;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-shards-'));
  mkdirSync(join(root, 'a'));
  const texts = Array.from(
    { length: 300 },
    (_, i) => `Text ${i}: ${'wörds and more, '.repeat(100 + (i % 17))}\n`,
  );
  for (const [i, text] of texts.entries()) writeFileSync(join(root, 'a', `${i}.txt`), text);
  const config = prepareConfigSchema.parse({ domains: { a: { sources: [{ url: 'file:a' }] } } });
  ({ documentsDir } = await prepareCorpus(config, { dir: root, cacheDir: root, baseDir: root }));
  tokenizer = trainChar(texts);
  tokenizerPath = join(root, 'tokenizer.json');
  saveTokenizer(tokenizerPath, tokenizer);
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

const tokenize = (dir: string, threads = 1, more = {}) =>
  tokenizeCorpus({
    documentsDir,
    tokenizerPath,
    sampleTokens: 65,
    outDir: join(root, dir),
    threads,
    ...more,
  });

function filesOf(dir: string): Record<string, string> {
  const paths = readdirSync(join(root, dir), { recursive: true }) as string[];
  const files = paths.filter((path) => statSync(join(root, dir, path)).isFile()).sort();
  return Object.fromEntries(
    files.map((path) => [path, readFileSync(join(root, dir, path)).toString('base64')]),
  );
}

it('writes every token of every document once, in samples that overlap by one', async () => {
  const { manifest, shardsDir } = await tokenize('shards');
  for (const split of SPLITS) {
    const expected: number[] = [];
    let bytes = 0;
    for await (const { text } of readDocuments(join(documentsDir, split, 'a.jsonl'))) {
      expected.push(...tokenizer.encode(text), tokenizer.endOfTextId);
      bytes += Buffer.byteLength(text);
    }
    const reader = new MdsReader(join(shardsDir, split, 'a'));
    const samples = [...reader].map((sample) => sample.tokens as Int32Array);
    const joined = [samples[0]![0]!, ...samples.flatMap((sample) => [...sample.subarray(1)])];
    expect(joined).toEqual(expected.slice(0, joined.length));
    expect(expected.length - joined.length).toBeLessThan(64);
    expect(samples.every((sample) => sample.length === 65)).toBe(true);
    reader.close();
    const count = manifest.domains.a![split];
    expect(count).toMatchObject({ tokens: expected.length, bytes, samples: samples.length });
  }
});

it('writes the same bytes with one thread and with two, and reuses what is finished', async () => {
  const one = await tokenize('one', 1);
  await tokenize('two', 2);
  expect(filesOf('two')).toEqual(filesOf('one'));
  expect((await tokenize('one', 2)).reused).toBe(true);
  const shard = join(root, 'one', one.manifest.files.find((file) => file.path.endsWith('.mds'))!.path);
  const cut = readFileSync(shard).subarray(0, 1000);
  writeFileSync(shard, cut);
  expect((await tokenize('one')).reused).toBe(false);
  expect(filesOf('one')).toEqual(filesOf('two'));
  expect((await tokenize('one', 1, { sampleTokens: 33 })).reused).toBe(false);
});

it('tells of which documents a sample is made, token by token', async () => {
  const { shardsDir } = await tokenize('lineage', 2);
  const dir = join(shardsDir, 'train', 'a');
  const reader = new MdsReader(dir);
  for (const sample of [0, 1, 700, reader.numSamples - 1]) {
    const { documents, split, domain } = await sampleLineage(dir, sample, documentsDir);
    expect({ split, domain }).toEqual({ split: 'train', domain: 'a' });
    const tokens = reader.read(sample).tokens as Int32Array;
    expect(documents[0]!.firstToken).toBe(0);
    expect(documents.at(-1)!.endToken).toBe(tokens.length);
    for (const { firstToken, endToken, text, source, path, isChanged } of documents) {
      const part = [...tokens.subarray(firstToken, endToken)];
      const whole = [...tokenizer.encode(text), tokenizer.endOfTextId];
      expect(whole.join(' ')).toContain(part.join(' '));
      expect({ source, isChanged }).toEqual({ source: 'file:a', isChanged: false });
      expect(text).toBe(readFileSync(join(root, 'a', path), 'utf8'));
    }
  }
  await expect(sampleLineage(dir, reader.numSamples, documentsDir)).rejects.toMatchObject({
    code: 'sample_invalid',
  });
  await expect(sampleLineage(shardsDir, 0, documentsDir)).rejects.toMatchObject({ code: 'shard_missing' });
  await expect(sampleLineage(dir, 0, root)).rejects.toMatchObject({ code: 'documents_invalid' });
  reader.close();
});

it('by key leaves shards alone that may be read just now', async () => {
  const first = await tokenize('by-key', 1, { byKey: true });
  const reader = new MdsReader(join(first.shardsDir, 'train', 'a'));
  const second = await tokenize('by-key', 1, { byKey: true, sampleTokens: 33 });
  expect(second).toMatchObject({ reused: false, manifest: { sampleTokens: 33 } });
  expect([...reader].every(({ tokens }) => (tokens as Int32Array).length === 65)).toBe(true);
  reader.close();
  expect((await tokenize('by-key', 1, { byKey: true })).reused).toBe(true);
  const onlyFinished = { byKey: true, onlyFinished: true };
  expect((await tokenize('by-key', 1, onlyFinished)).shardsDir).toBe(first.shardsDir);
  await expect(tokenize('elsewhere', 1, onlyFinished)).rejects.toMatchObject({ code: 'documents_invalid' });
});

it('leaves nothing trusted when stopped in the middle', async () => {
  const controller = new AbortController();
  const options = { signal: controller.signal, onProgress: () => controller.abort() };
  await expect(tokenize('stopped', 1, options)).rejects.toThrow('abort');
  expect(readdirSync(root).filter((name) => name.startsWith('stopped'))).toEqual([]);
  expect((await tokenize('stopped')).reused).toBe(false);
});

it('says what is too small, what is no corpus, and what is no tokenizer', async () => {
  await expect(tokenize('small', 1, { sampleTokens: 1 << 20 })).rejects.toMatchObject({
    code: 'data_too_small',
  });
  await expect(tokenize('none', 1, { documentsDir: root })).rejects.toMatchObject({
    code: 'documents_invalid',
  });
  await expect(tokenize('none', 1, { tokenizerPath: join(root, 'no.json') })).rejects.toMatchObject({
    code: 'file_missing',
  });
});
