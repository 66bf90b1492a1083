import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadTokenizer } from '../../tokenizer/index.ts';
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
