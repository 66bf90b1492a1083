import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S3Server } from '../../../tests/s3/server.ts';
import { loadTokenizer, saveTokenizer, trainChar } from '../../tokenizer/index.ts';
import { run } from '../run.suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'dabarex-prepare-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('prepares a text given by --set, and finds it prepared the second time', async () => {
  const text = Array.from(
    { length: 200 },
    (_, i) => `Line ${i} of a text that is long enough to be kept.`,
  ).join('\n');
  writeFileSync(join(folder, 'text.txt'), text);
  const cacheDir = join(folder, 'cache');
  const args = [
    'prepare',
    'shakespeare',
    '--set',
    'data.domains.prose.sources.0.url=file:text.txt',
    '--json',
  ];
  const first = await run(args, { cwd: folder, cacheDir });
  expect(first).toMatchObject({ code: 0 });
  const { documents_dir: documentsDir, reused, domains, config } = JSON.parse(first.stdout);
  expect(reused).toBe(false);
  expect(Object.keys(config).sort()).toEqual(['domains', 'heldOut', 'pipeline']);
  expect(existsSync(join(documentsDir, 'manifest.json'))).toBe(true);
  expect(domains.prose.train.bytes + domains.prose.heldout.bytes).toBeGreaterThan(0.98 * text.length);
  const second = await run(args.slice(0, -1), { cwd: folder, cacheDir });
  expect(second.stdout).toMatch(/^domain[\s\S]*prose +\d/);
  expect(second.stdout).toContain(`Already prepared: ${documentsDir}`);
});

it('names a missing text', async () => {
  const { code, stderr } = await run(['prepare', 'shakespeare'], {
    cwd: folder,
    cacheDir: join(folder, 'cache'),
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error\[\w+\]: .*shakespeare\.txt/m);
});

it('trains the tokenizer of a recipe', async () => {
  const text = Array.from(
    { length: 400 },
    (_, i) => `Sentence ${i} says that the cat sat on the mat number ${i * 7}.`,
  ).join('\n');
  writeFileSync(join(folder, 'cats.txt'), text);
  const sets = ['data.domains.prose.sources.0.url=file:cats.txt', 'tokenizer={kind: bpe, vocabSize: 300}'];
  const args = [
    'tokenizer',
    'train',
    'shakespeare',
    '--out',
    'cats.json',
    '--json',
    ...sets.flatMap((set) => ['--set', set]),
  ];
  const { stdout, code } = await run(args, { cwd: folder, cacheDir: join(folder, 'cache') });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ path: join(folder, 'cats.json'), kind: 'bpe', vocab_size: 300 });
  expect(loadTokenizer(join(folder, 'cats.json')).encode(text).length).toBeLessThan(0.6 * text.length);
});

describe('text files that a recipe reads as they are', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await S3Server.start({ buckets: ['data'] });
    const lines = Array.from({ length: 60 }, (_, i) => `${JSON.stringify({ text: `cat ${i} sat` })}\n`);
    server.put('texts/a.jsonl', lines.slice(0, 30).join(''));
    server.put('texts/b.jsonl', lines.slice(30).join(''));
    writeFileSync(join(folder, 'held.jsonl'), lines.join(''));
    saveTokenizer(join(folder, 'chars.json'), trainChar('cat sat 0123456789'));
  });
  afterAll(() => server.close());

  const prepare = (train: object, ...more: string[]) => {
    const shards = { train: { cats: train }, heldout: { cats: { files: ['held.jsonl'] } } };
    const data = `data=${JSON.stringify({ shards })}`;
    writeFileSync(join(folder, 'texts.yaml'), readFileSync('recipes/shakespeare.yaml', 'utf8'));
    const sets = [data, 'tokenizer={kind: file, path: chars.json}', 'train.sequenceLength=16'];
    return run(['prepare', 'texts.yaml', ...sets.flatMap((set) => ['--set', set]), ...more], {
      cwd: folder,
      cacheDir: join(folder, 'cache'),
      storage: { s3: server.s3 },
      watchInterrupts: () => undefined,
    });
  };

  it('are fetched and indexed, once', async () => {
    const { code, stdout, stderr } = await prepare({ files: ['s3://data/texts/*.jsonl'] });
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^cats +2 +\d+ +[\d,]+ +\d+$/m)]);
    expect(stderr).toMatch(/^index 100%/m);
    const again = await prepare({ files: ['s3://data/texts/*.jsonl'] }, '--json');
    expect(again.stderr).not.toMatch(/index/);
    expect(server.count('GET', /jsonl$/)).toBe(2);
    const { domains } = JSON.parse(again.stdout);
    expect(domains.cats.files.map((each: { path: string }) => each.path)).toEqual([
      's3://data/texts/a.jsonl',
      's3://data/texts/b.jsonl',
    ]);
    expect(domains.cats.samples).toBe(domains.cats.heldout_samples);
  });

  it.each([
    [
      'a pattern of nothing',
      { files: ['*.jsnl'] },
      'file_missing',
      /data\.shards\.train\.cats: \*\.jsnl: no file/,
    ],
    [
      'another field',
      { files: ['held.jsonl'], textField: 'body' },
      'text_invalid',
      /train\.cats: .*no field "body" \(it has text\)/,
    ],
    [
      'a format that it is not',
      { files: ['held.jsonl'], format: 'parquet' },
      'text_invalid',
      /cannot be read as Parquet/,
    ],
    ['a name without a format', { files: ['chars.json'] }, 'text_invalid', /its name tells no format/],
  ])('with %s are refused, and the domain is named', async (_, train, error, message) => {
    const { code, stderr } = await prepare(train);
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`error\\[${error}\\]: data\\.shards\\.train\\.cats`));
    expect(stderr).toMatch(message);
  });

  it('have no documents to report on', async () => {
    const { code, stderr } = await prepare({ files: ['held.jsonl'] }, '--out', 'elsewhere');
    expect([code, stderr]).toEqual([2, expect.stringContaining('--out, --report')]);
  });
});
