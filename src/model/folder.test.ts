import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readSafetensors, saveCheckpoint } from '../checkpoint/index.ts';
import { createKernels, Tape, WEIGHT_KINDS } from '../tensor/index.ts';
import { trainChar } from '../tokenizer/index.ts';
import { completeModelConfig, modelConfigSchema } from './config.ts';
import { hasShape, readWeights, saveModelFolder } from './folder.ts';
import { Generator } from './generator.ts';
import { loadModel } from './load-model.ts';
import { Transformer } from './transformer.ts';

const folder = mkdtempSync(join(tmpdir(), 'dabarex-folder-'));
afterAll(() => rmSync(folder, { recursive: true }));

function save(name: string, tieEmbeddings: boolean): { dir: string; saved: Transformer } {
  const dir = join(folder, name);
  const tokenizer = trainChar(['abcdefgh ']);
  const ffn = { hidden: 16 };
  const shape = { dModel: 16, numLayers: 1, numHeads: 2, maxSeqLen: 48, ffn, tieEmbeddings };
  const config = completeModelConfig(modelConfigSchema.parse(shape), tokenizer.vocabSize);
  const saved = new Transformer(config, createKernels(), { precision: 'f32', trainable: true, seed: 1 });
  saveModelFolder(dir, saved, tokenizer);
  return { dir, saved };
}

function tensorNames(dir: string): string[] {
  const file = readSafetensors(join(dir, 'model.safetensors'));
  const names = [...file.tensors.keys()];
  file.close();
  return names;
}

describe('a model folder', () => {
  it.each([false, true])('says whether its embeddings are tied: %s', (tieEmbeddings) => {
    const { dir, saved } = save(`tied-${tieEmbeddings}`, tieEmbeddings);
    const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'));
    expect(config.tie_word_embeddings).toBe(tieEmbeddings);
    expect(tensorNames(dir).includes('lm_head.weight')).toBe(!tieEmbeddings);
    expect(hasShape(dir, saved.config)).toBe(true);
    expect(hasShape(dir, { ...saved.config, tieEmbeddings: !tieEmbeddings })).toBe(false);
    const { model } = loadModel(dir, { threads: 1, precision: 'f32' });
    expect(model.config.tieEmbeddings).toBe(tieEmbeddings);
    const weights = ({ parameters }: Transformer) =>
      parameters.map(({ name, tensor }) => [name, tensor.data] as const);
    const filled = new Transformer(model.config, createKernels(), { precision: 'f32', trainable: true });
    readWeights(filled, join(dir, 'model.safetensors'));
    expect(weights(filled)).toEqual(weights(saved));
  });

  it('is refused where a bit of its weights has changed since the checkpoint was saved', () => {
    const { dir } = save('whole', false);
    const run = join(folder, 'run');
    const checkpoint = saveCheckpoint(run, 1, (to) => {
      cpSync(dir, to, { recursive: true });
      return {};
    });
    loadModel(checkpoint, { threads: 1, precision: 'f32' });
    const path = join(checkpoint, 'model.safetensors');
    const bytes = readFileSync(path);
    bytes[bytes.length - 5]! ^= 1;
    writeFileSync(path, bytes);
    expect(() => loadModel(checkpoint, { threads: 1, precision: 'f32' })).toThrow(
      expect.objectContaining({ code: 'checkpoint_corrupt', message: expect.stringContaining(path) }),
    );
  });

  it.each(WEIGHT_KINDS)('is run with weights kept as %s', (weights) => {
    const { dir, saved } = save(`kept-${weights}`, false);
    const logitsOf = (model: Transformer) => {
      const generator = new Generator(model);
      const places = Int32Array.from({ length: 20 }, (_, r) => r);
      const ids = places.map((r) => (r * 7) % model.config.vocabSize);
      const cache = generator.createCache(1, 48);
      return generator.forward(cache, ids, new Int32Array(20), places, places).slice();
    };
    const { model } = loadModel(dir, { threads: 1, precision: 'auto', weights });
    const [exact, kept] = [logitsOf(saved), logitsOf(model)];
    const size = Math.sqrt(exact.reduce((sum, x) => sum + x * x, 0));
    const error = Math.sqrt(exact.reduce((sum, x, i) => sum + (x - kept[i]!) ** 2, 0)) / size;
    // Rounding moves a weight by at most 2^-9 of itself (bf16), or 1/254 of the largest in its column (int8).
    const [least, most] = { f32: [0, 0], bf16: [1e-5, 2 ** -7], int8: [1e-5, 1 / 32] }[weights];
    expect(error).toBeGreaterThanOrEqual(least!);
    expect(error).toBeLessThanOrEqual(most!);
  });

  it('cannot be trained with weights of fewer bits', () => {
    const { saved } = save('trained', false);
    const options = { precision: 'f32', format: 'int8-weights', trainable: true, seed: 1 } as const;
    const model = new Transformer(saved.config, saved.kernels, options);
    const tape = new Tape(model.kernels);
    const tokens = Int32Array.of(0, 1, 2);
    const rows = { tokens, targets: tokens, positions: tokens, firstKey: new Int32Array(3) };
    expect(() => tape.backward(model.forward(tape, rows).loss)).toThrow(/cannot be trained/);
  });

  it('with two embeddings is not read as one with one', () => {
    const { dir } = save('two', false);
    const path = join(dir, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify({ ...config, tie_word_embeddings: true }));
    expect(() => loadModel(dir, { threads: 1, precision: 'f32' })).toThrow(
      /lm_head.weight is not in the model/,
    );
  });
});
