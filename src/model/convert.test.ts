/** Models from one format to another and back: the same bits, or a reason why not. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { writeHfFolder } from '../checkpoint/index.ts';
import { createKernels } from '../tensor/index.ts';
import { trainBpe, trainChar } from '../tokenizer/index.ts';
import { completeModelConfig, type ModelConfig, modelConfigSchema } from './config.ts';
import { FAMILIES, type Family } from './families/traits.ts';
import { saveModelFolder } from './folder.ts';
import { Generator } from './generator.ts';
import { loadModel } from './load-model.ts';
import { huggingFaceFiles, loadTokenizerOf, vocabularyOf } from './model-tokenizer.ts';
import { type OpenModel, openModel } from './open-model.ts';
import { Transformer } from './transformer.ts';
import { writeGgufModel, writeHuggingFace } from './write-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'dabarex-convert-'));
afterAll(() => rmSync(folder, { recursive: true }));

const VECTORS = process.env.DABAREX_VECTORS ?? join(import.meta.dirname, '../../../shared/vectors');
const STORIES = join(VECTORS, 'models', 'stories260K.bin');
const DENSE: readonly Family[] = ['llama', 'qwen2', 'qwen3', 'gpt2', 'mpt'];
const SPECIAL: Partial<Record<Family, object>> = {
  llama: {
    ropeScaling: { kind: 'llama3', factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxSeqLen: 16 },
  },
  mixtral: { headDim: 16 },
  qwen2: { ropeScaling: { kind: 'yarn', factor: 4, originalMaxSeqLen: 16 } },
  'qwen3-moe': { headDim: 16, tieEmbeddings: true },
  mpt: { clipQkv: 6 },
};

const tokenizer = trainBpe({
  texts: ['the cat sat on the mat and the rat sat on the cat'],
  vocabSize: 270,
});

function configOf(family: Family, change: object = {}): ModelConfig {
  const experts = DENSE.includes(family) ? {} : { numExperts: 4, topK: 2 };
  const shape = {
    family,
    vocabSize: tokenizer.vocabSize,
    dModel: 16,
    numLayers: 2,
    numHeads: 2,
    maxSeqLen: 64,
    ffn: { hidden: 32, ...experts },
    ...SPECIAL[family],
    ...change,
  };
  return completeModelConfig(modelConfigSchema.parse(shape));
}

function saved(name: string, config: ModelConfig): string {
  const dir = join(folder, name);
  const model = new Transformer(config, createKernels(), { precision: 'f32', trainable: true, seed: 4 });
  saveModelFolder(dir, model, tokenizer);
  return dir;
}

function weightsOf(path: string): Map<string, Float32Array> {
  const model = openModel(path);
  const weights = new Map([...model.pieces.keys()].map((piece) => [piece, model.read(piece)]));
  model.close();
  return weights;
}

function withModel<T>(path: string, work: (model: OpenModel) => T): T {
  const model = openModel(path);
  try {
    return work(model);
  } finally {
    model.close();
  }
}

const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('a model of any family', () => {
  it.each(FAMILIES)('%s: folder to GGUF to folder and back gives the same bits', (family) => {
    const first = saved(`${family}-1`, configOf(family));
    const file = join(folder, `${family}.gguf`);
    withModel(first, (model) => writeGgufModel(model, file, vocabularyOf(model), { type: 'f32' }));
    const second = join(folder, `${family}-2`);
    withModel(file, (model) =>
      writeHuggingFace(
        model,
        second,
        { files: huggingFaceFiles(model) },
        { type: 'f32', shardBytes: 20_000 },
      ),
    );
    expect(existsSync(join(second, 'model.safetensors.index.json'))).toBe(true);
    const again = join(folder, `${family}-2.gguf`);
    withModel(second, (model) => writeGgufModel(model, again, vocabularyOf(model), { type: 'f32' }));
    const weights = weightsOf(first);
    expect(weightsOf(file)).toEqual(weights);
    expect(weightsOf(second)).toEqual(weights);
    expect(weightsOf(again)).toEqual(weights);
    const text = 'the rat and the mat';
    withModel(second, (model) => {
      expect(loadTokenizerOf(model).tokenizer.encode(text)).toEqual(tokenizer.encode(text));
    });
  });

  it('keeps half of the bits in bf16, and says so by its file', () => {
    const first = saved('bf16-1', configOf('llama'));
    const dir = join(folder, 'bf16-2');
    withModel(first, (model) =>
      writeHuggingFace(model, dir, { files: huggingFaceFiles(model) }, { type: 'bf16' }),
    );
    expect(JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8')).torch_dtype).toBe('bfloat16');
    withModel(dir, ({ tensors }) =>
      expect(new Set(tensors.map(({ type }) => type))).toEqual(new Set(['BF16'])),
    );
    const { model } = loadModel(dir, { threads: 1, precision: 'auto' });
    const generator = new Generator(model);
    const logits = generator.forward(
      generator.createCache(1, 4),
      Int32Array.of(3),
      Int32Array.of(0),
      Int32Array.of(0),
      Int32Array.of(0),
    );
    expect(logits.every(Number.isFinite)).toBe(true);
  });
});

describe('what cannot be written', () => {
  it.each([
    ['dbrx', { tieEmbeddings: true }, /embeddings are tied/],
    [
      'dbrx',
      { ffn: { hidden: 32, numExperts: 4, topK: 2, normalizeWeights: false } },
      /not divided by their sum/,
    ],
    ['olmoe', { clipQkv: 8 }, /clamped/],
    ['llama', { slidingWindow: 8 }, /sliding window/],
    ['mixtral', { slidingWindow: 8 }, /sliding window/],
  ] as const)('%s with %j as GGUF: says why', (family, change, message) => {
    const dir = saved(`unfit-${family}-${Object.keys(change)}`, configOf(family, change));
    const path = join(folder, `unfit-${family}.gguf`);
    withModel(dir, (model) => {
      const write = () => writeGgufModel(model, path, vocabularyOf(model), { type: 'f32' });
      expect(write).toThrow(refusal('model_not_representable', message));
    });
    expect(existsSync(path)).toBe(false);
  });

  it('quantised types in a folder of Hugging Face', () => {
    withModel(saved('q', configOf('llama')), (model) => {
      const write = () =>
        writeHuggingFace(model, join(folder, 'q-hf'), { files: new Map() }, { type: 'q8_0' });
      expect(write).toThrow(refusal('model_not_representable', /have no q8_0/));
    });
  });

  it('a tokenizer of characters as GGUF', () => {
    const dir = join(folder, 'chars');
    const chars = trainChar(['abc']);
    const config = configOf('llama', { vocabSize: chars.vocabSize });
    const model = new Transformer(config, createKernels(), { precision: 'f32', trainable: true, seed: 4 });
    saveModelFolder(dir, model, chars);
    withModel(dir, (open) =>
      expect(() => vocabularyOf(open)).toThrow(refusal('tokenizer_not_representable', /token a character/)),
    );
  });
});

describe('what is no model', () => {
  it('is told by its kind', () => {
    const text = join(folder, 'notes.txt');
    writeFileSync(text, 'hello');
    expect(() => openModel(text)).toThrow(refusal('model_format_unknown', /neither in .gguf nor in .bin/));
    expect(() => openModel(join(folder, 'nowhere'))).toThrow(refusal('file_missing', /is not there/));
    const dir = saved('other', configOf('llama'));
    const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'));
    writeFileSync(join(dir, 'config.json'), JSON.stringify({ ...config, model_type: 'mamba' }));
    expect(() => openModel(dir)).toThrow(refusal('model_family_unknown', /"mamba".*Known are dbrx, llama/));
    writeFileSync(join(dir, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 3 }));
    expect(() => openModel(dir)).toThrow(refusal('checkpoint_mismatch', /is missing/));
    truncateSync(join(dir, 'model.safetensors'), 200);
    expect(() => openModel(dir)).toThrow(refusal('safetensors_invalid', /./));
  });
});

describe('DBRX as others have split it', () => {
  it.each(['mlp_experts.', ''])('experts as experts.%sN, q, k and v apart', (prefix) => {
    const dir = saved(`whole-${prefix}`, configOf('dbrx'));
    const weights = weightsOf(dir);
    const to = join(folder, `split-${prefix}`);
    const model = openModel(dir);
    const tensors: { name: string; shape: number[]; values: Float32Array }[] = [];
    const add = (name: string, piece: string, turned = false) => {
      const values = weights.get(piece)!;
      const [rows, columns] = model.pieces.get(piece)!.shape as [number, number?];
      if (!turned) tensors.push({ name, shape: columns === undefined ? [rows] : [rows, columns], values });
      else {
        const other = values.map((_, i) => values[(i % rows) * columns! + Math.floor(i / rows)]!);
        tensors.push({ name, shape: [columns!, rows], values: other });
      }
    };
    add('transformer.wte.weight', 'embedding');
    add('transformer.norm_f.weight', 'norm_f');
    add('lm_head.weight', 'head');
    for (let i = 0; i < 2; i++) {
      const [theirs, own] = [`transformer.blocks.${i}`, `blocks.${i}`];
      for (const norm of ['norm_1', 'norm_2'])
        add(`${theirs}.norm_attn_norm.${norm}.weight`, `${own}.${norm}`);
      for (const part of ['q', 'k', 'v'])
        add(`${theirs}.norm_attn_norm.attn.${part}_proj.weight`, `${own}.attention.${part}`);
      add(`${theirs}.norm_attn_norm.attn.out_proj.weight`, `${own}.attention.out`);
      add(`${theirs}.ffn.router.layer.weight`, `${own}.experts.router`);
      for (let e = 0; e < 4; e++) {
        const expert = `${theirs}.ffn.experts.${prefix}${e}`;
        add(`${expert}.w1.weight`, `${own}.experts.${e}.gate`);
        add(`${expert}.v1.weight`, `${own}.experts.${e}.up`);
        add(`${expert}.w2.weight`, `${own}.experts.${e}.down`, true);
      }
    }
    model.close();
    const config = readFileSync(join(dir, 'config.json'), 'utf8');
    writeHfFolder(to, {
      tensors: tensors.map(({ name, shape, values }) => ({ name, dtype: 'F32', shape, data: () => values })),
      files: new Map([['config.json', config]]),
    });
    cpSync(join(dir, 'tokenizer.json'), join(to, 'tokenizer.json'));
    expect(weightsOf(to)).toEqual(weights);
  });
});

describe.skipIf(!existsSync(STORIES))('stories260K of llama2.c (skipped where its file is absent)', () => {
  it('tells the story it is known for', () => {
    const tokenizerPath = join(VECTORS, 'models', 'tok512.bin');
    const { model, tokenizer: own } = loadModel(STORIES, { threads: 1, precision: 'f32', tokenizerPath });
    const generator = new Generator(model);
    const cache = generator.createCache(1, 64);
    let [token, text] = [1, ''];
    for (let position = 0; position < 48; position++) {
      const at = Int32Array.of(position);
      const zero = Int32Array.of(0);
      const logits = generator.forward(cache, Int32Array.of(token), zero, at, zero);
      token = logits.indexOf(logits.reduce((a, b) => Math.max(a, b)));
      text += new TextDecoder().decode(own.tokenBytes(token));
    }
    expect(text.trimStart()).toMatch(
      /^Once upon a time, there was a little girl named Lily\. She loved to play outside in the park\./,
    );
  });
});
