/** What `convert` and `model info` do with files that are there already. */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { completeModelConfig, modelConfigSchema, saveModelFolder, Transformer } from '../../model/index.ts';
import { createKernels } from '../../tensor/index.ts';
import { trainBpe } from '../../tokenizer/index.ts';
import { run } from '../run.suite.ts';

const shape = { dModel: 16, numLayers: 1, numHeads: 2, maxSeqLen: 16, ffn: { hidden: 16 } };
const folder = mkdtempSync(join(tmpdir(), 'dabarex-convert-'));
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(() => {
  const tokenizer = trainBpe({ texts: ['abcdefgh abcd'], vocabSize: 260 });
  const config = completeModelConfig(
    modelConfigSchema.parse({ family: 'llama', ...shape }),
    tokenizer.vocabSize,
  );
  saveModelFolder(
    join(folder, 'model'),
    new Transformer(config, createKernels(), { precision: 'f32', trainable: true, seed: 1 }),
    tokenizer,
  );
});

it('convert does not write over the file that it reads, by whatever name', async () => {
  expect((await run(['convert', 'model', 'm.gguf'], { cwd: folder })).code).toBe(0);
  const before = readFileSync(join(folder, 'm.gguf'));
  symlinkSync('m.gguf', join(folder, 'link.gguf'));
  for (const out of ['m.gguf', 'link.gguf']) {
    const { stderr, code } = await run(['convert', 'm.gguf', out, '--type', 'q8_0'], { cwd: folder });
    expect(code).not.toBe(0);
    expect(stderr).toContain('error[usage_invalid]');
  }
  expect(readFileSync(join(folder, 'm.gguf')).equals(before)).toBe(true);
});

it('convert replaces a file only when it is told to', async () => {
  writeFileSync(join(folder, 'there.gguf'), 'mine');
  const refused = await run(['convert', 'model', 'there.gguf'], { cwd: folder });
  expect(refused.stderr).toContain('error[path_unusable]');
  expect(readFileSync(join(folder, 'there.gguf'), 'utf8')).toBe('mine');
  const forced = await run(['convert', 'model', 'there.gguf', '--force', '--json'], { cwd: folder });
  expect(JSON.parse(forced.stdout)).toMatchObject({ format: 'gguf', type: 'f32' });
  const generated = await run(['generate', 'there.gguf', 'abc', '--max-tokens', '2', '--json'], {
    cwd: folder,
  });
  expect(JSON.parse(generated.stdout).usage).toMatchObject({ completion_tokens: 2 });
});

it('model info takes the size of a vocabulary from the tokenizer file that a recipe names', async () => {
  const recipe = {
    model: { family: 'llama', ...shape },
    tokenizer: { kind: 'file', path: 'model/tokenizer.json' },
  };
  writeFileSync(join(folder, 'given.yaml'), JSON.stringify(recipe));
  const { stdout, stderr } = await run(['model', 'info', 'given.yaml'], { cwd: folder });
  expect(stderr).toBe('');
  expect(stdout).toContain('vocabulary 260');
});
