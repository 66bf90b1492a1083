import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tokenizerConfigSchema } from '../tokenizer/index.ts';
import { prepareConfigSchema } from './config.ts';
import { prepareCorpus } from './corpus.ts';
import { trainCorpusTokenizer } from './tokenizer-training.ts';

let root: string;
let documentsDir: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'dabarex-tokenizer-'));
  for (const name of ['a', 'b']) mkdirSync(join(root, name));
  for (let i = 0; i < 30; i++) {
    const text = `The state of the union in ${1800 + i} is described in these words. `.repeat(5);
    writeFileSync(join(root, 'a', `${i}.txt`), text);
    const code = `const zebra${i} = quick(${i * 7}) ?? jumpOver(lazyDogs, ${i});\n`.repeat(3);
    writeFileSync(join(root, 'b', `${i}.txt`), code);
  }
  const config = prepareConfigSchema.parse({
    domains: { a: { sources: [{ url: 'file:a' }] }, b: { sources: [{ url: 'file:b' }] } },
    heldOut: { kind: 'tail', fraction: 0.1 },
  });
  ({ documentsDir } = await prepareCorpus(config, { dir: root, cacheDir: root, baseDir: root }));
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

it('trains BPE once and reuses it until the settings or the file change', async () => {
  const config = tokenizerConfigSchema.parse({ kind: 'bpe', vocabSize: 300 });
  const options = { documentsDir, outDir: join(root, 'bpe') };
  const first = await trainCorpusTokenizer(config, options);
  expect(first.reused).toBe(false);
  expect(first.tokenizer.vocabSize).toBe(300);
  const bytes = readFileSync(first.path);
  const again = await trainCorpusTokenizer(config, options);
  expect(again.reused).toBe(true);
  expect(again.tokenizer.encode('The union')).toEqual(first.tokenizer.encode('The union'));
  writeFileSync(first.path, bytes.subarray(0, 100));
  expect((await trainCorpusTokenizer(config, options)).reused).toBe(false);
  expect(readFileSync(first.path).equals(bytes)).toBe(true);
  const larger = tokenizerConfigSchema.parse({ kind: 'bpe', vocabSize: 290 });
  expect((await trainCorpusTokenizer(larger, options)).tokenizer.vocabSize).toBe(290);
});

it('learns from the domains in the proportions it is told', async () => {
  const config = tokenizerConfigSchema.parse({ kind: 'bpe', vocabSize: 300, trainBytes: 3000 });
  const train = async (name: string, weights: Record<string, number>) => {
    const outDir = join(root, name);
    return (await trainCorpusTokenizer(config, { documentsDir, outDir, weights })).tokenizer;
  };
  const prose = await train('prose', { a: 9, b: 1 });
  const code = await train('code', { a: 1, b: 9 });
  const heldOut = (domain: string) => readFileSync(join(documentsDir, `heldout/${domain}.txt`), 'utf8');
  expect(prose.encode(heldOut('a')).length).toBeLessThan(0.9 * code.encode(heldOut('a')).length);
  expect(code.encode(heldOut('b')).length).toBeLessThan(0.9 * prose.encode(heldOut('b')).length);
});

it('knows every character of the held-out text too', async () => {
  const { tokenizer } = await trainCorpusTokenizer(
    { kind: 'char' },
    { documentsDir, outDir: join(root, 'char') },
  );
  const heldOut = readFileSync(join(documentsDir, 'heldout/a.txt'), 'utf8');
  expect(tokenizer.decode(tokenizer.encode(heldOut))).toBe(heldOut);
  expect(tokenizer.encode('x')).not.toEqual(tokenizer.encode('t'));
});
