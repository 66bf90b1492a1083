import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  completeModelConfig,
  loadModel,
  modelConfigSchema,
  openModel,
  saveModelFolder,
  Transformer,
} from '../../model/index.ts';
import { createKernels } from '../../tensor/index.ts';
import { trainChar } from '../../tokenizer/index.ts';
import { run } from '../run.suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'dabarex-generate-'));
const modelDir = join(folder, 'tiny');
afterAll(() => rmSync(folder, { recursive: true }));

function makeModel(dir: string, seed: number): Transformer {
  const tokenizer = trainChar(['abcdefgh ']);
  const shape = {
    dModel: 16,
    numLayers: 2,
    numHeads: 2,
    kvHeads: 1,
    maxSeqLen: 48,
    ffn: { hidden: 16, numExperts: 4, topK: 2 },
  };
  const config = completeModelConfig(modelConfigSchema.parse(shape), tokenizer.vocabSize);
  const model = new Transformer(config, createKernels(), { precision: 'f32', trainable: true, seed });
  saveModelFolder(dir, model, tokenizer);
  return model;
}

beforeAll(() => {
  makeModel(modelDir, 1);
});

describe('a model folder', () => {
  it('comes back with the same weights', () => {
    const saved = makeModel(join(folder, 'other'), 2);
    const { model, tokenizer } = loadModel(join(folder, 'other'), { threads: 1, precision: 'f32' });
    expect(model.config).toMatchObject({ dModel: 16, kvHeads: 1, vocabSize: tokenizer.vocabSize });
    const source = openModel(join(folder, 'other'));
    const parameters = new Map(saved.parameters.map(({ name, tensor }) => [name, tensor.data]));
    for (const { name, parameter, offset } of source.pieces.values()) {
      const values = source.read(name);
      expect(values, name).toEqual(parameters.get(parameter)!.subarray(offset, offset + values.length));
    }
    source.close();
  });

  it('is refused when its weights are of another shape, cut short, or not there', async () => {
    const dir = join(folder, 'broken');
    const broken = async () => (await run(['generate', dir, 'a'])).stderr;
    const model = makeModel(dir, 3);
    const config = JSON.parse(JSON.stringify(model.config));
    expect(config.numLayers).toBe(2);
    writeFileSync(join(dir, 'config.json'), '{');
    expect(await broken()).toMatch(/^error\[config_invalid\]: .*config\.json/);
    makeModel(dir, 3);
    truncateSync(join(dir, 'model.safetensors'), 1000);
    expect(await broken()).toMatch(/^error\[safetensors_invalid\]/);
    rmSync(join(dir, 'model.safetensors'));
    expect(await broken()).toMatch(/^error\[file_missing\]: .*model\.safetensors/);
  });
});

describe('generate', () => {
  it('continues a prompt, the same with the same seed', async () => {
    const args = ['generate', modelDir, 'abc', '--max-tokens', '12', '--seed', '5'];
    const first = await run(args);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(/^abc/);
    expect(await run(args)).toEqual(first);
  });

  it('gives text, usage and reason as JSON', async () => {
    const { stdout } = await run([
      'generate',
      modelDir,
      'abc',
      '--max-tokens',
      '4',
      '--temperature',
      '0',
      '--json',
    ]);
    const { prompt, usage, reason } = JSON.parse(stdout);
    expect(prompt).toBe('abc');
    expect(usage.prompt_tokens).toBe(3);
    expect(usage.completion_tokens).toBeLessThanOrEqual(4);
    expect(['length', 'stop']).toContain(reason);
  });

  it.each([
    [
      'a prompt longer than the context',
      ['generate', modelDir, 'a'.repeat(60)],
      1,
      /error\[context_length_exceeded\]/,
    ],
    ['a model that is not there', ['generate', 'nowhere', 'a'], 1, /error\[file_missing\].*nowhere/],
    [
      'a temperature that is no number',
      ['generate', modelDir, 'a', '--temperature', 'hot'],
      2,
      /number from 0 to 2/,
    ],
    ['a temperature too high', ['generate', modelDir, 'a', '--temperature', '9'], 2, /number from 0 to 2/],
    [
      'a share of no probability',
      ['generate', modelDir, 'a', '--top-p', '0'],
      2,
      /more than 0 and at most 1/,
    ],
    ['a share above all', ['generate', modelDir, 'a', '--top-p', '7'], 2, /more than 0 and at most 1/],
  ])('refuses %s', async (_, args, code, message) => {
    const outcome = await run(args);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr).toMatch(message);
  });
});

describe('chat', () => {
  it('ends well where the input ends', async () => {
    const stdin = Readable.from(['abc\n']) as unknown as NodeJS.ReadStream;
    const outcome = await run(['chat', modelDir, '--max-tokens', '4'], { stdin });
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
  });

  it('answers every line until an empty one', async () => {
    const stdin = Readable.from([
      'abc\n',
      'a longer line that fills the context of the model\n',
      '\n',
      'never read\n',
    ]);
    const outcome = await run(['chat', modelDir, '--max-tokens', '4'], {
      stdin: stdin as unknown as NodeJS.ReadStream,
    });
    expect(outcome.stdout).toContain('48 tokens of context');
    expect(outcome).toMatchObject({ code: 1 });
    expect(outcome.stderr).toContain('context_length_exceeded');
  });
});

describe('serve', () => {
  it('serves the model until it is interrupted', async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    const printJson = (value: unknown) => {
      const { url } = value as { url: string };
      fetch(`${url}/v1/models`)
        .then((response) => response.json())
        .then((models) => seen.push((models as { data: { id: string }[] }).data[0]!.id))
        .finally(() => controller.abort());
    };
    const overrides = { printJson, interrupted: controller.signal, runsDir: join(folder, 'runs') };
    const outcome = await run(['serve', modelDir, '--port', '0', '--json'], overrides);
    expect(outcome.stderr).toBe('');
    expect(seen).toEqual(['tiny']);
  });
});
