/**
 * Models of every family, written as GGUF and run by llama.cpp: the same next-token probabilities as ours, from weights and a key/value
 * cache in f32. Weights are random, drawn so that no router is near a tie in what is compared. Skipped where llama.cpp cannot be had.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findLlamaCpp } from '../../bench/peers/llama-cpp.ts';
import { LlamaModel } from '../../bench/peers/llama-model.ts';
import { Rng } from '../../src/base/index.ts';
import type { GgufValue } from '../../src/checkpoint/index.ts';
import {
  completeModelConfig,
  FAMILIES,
  type Family,
  fillWeights,
  Generator,
  modelConfigSchema,
  type OpenModel,
  openModel,
  saveModelFolder,
  Transformer,
  type WeightType,
  writeGgufModel,
} from '../../src/model/index.ts';
import { createKernels } from '../../src/tensor/index.ts';
import { trainChar } from '../../src/tokenizer/index.ts';

const VOCABULARY = 300;
const POSITIONS = 200;
const VECTORS = process.env.DABAREX_VECTORS ?? join(import.meta.dirname, '../../../shared/vectors');
const STORIES = join(VECTORS, 'models', 'stories260K.bin');

/** What each family has that others have not, as far as GGUF holds it. */
const SHAPES: Readonly<Record<Family, object>> = {
  dbrx: { clipQkv: 2, kvHeads: 2 },
  llama: {
    kvHeads: 2,
    ropeScaling: { kind: 'llama3', factor: 4, lowFreqFactor: 1, highFreqFactor: 4, originalMaxSeqLen: 64 },
  },
  mixtral: { kvHeads: 2, headDim: 32 },
  olmoe: {},
  qwen2: { kvHeads: 2, ropeTheta: 1e6, tieEmbeddings: true },
  'qwen2-moe': { kvHeads: 2 },
  qwen3: { kvHeads: 2, headDim: 32 },
  'qwen3-moe': { kvHeads: 2, headDim: 32 },
  gpt2: {},
  // llama.cpp computes MPT's exact GELU by tanh, looked up in a table of 16-bit values: so tanh for both, and weights that
  // do not blow up what the table rounds.
  mpt: { clipQkv: 2, initStd: 0.06, ffn: { hidden: 96, activation: 'gelu-tanh' } },
  'grok-1': { kvHeads: 2, embeddingScale: 8 },
};
/** Of weights, where those of the others would bring a router near a tie. */
const SEEDS: Partial<Record<Family, number>> = { 'grok-1': 6 };
const DENSE: readonly Family[] = ['llama', 'qwen2', 'qwen3', 'gpt2', 'mpt'];

const found = findLlamaCpp();
const folder = mkdtempSync(join(tmpdir(), 'dabarex-llama-cpp-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Tokens that llama.cpp takes for a vocabulary; only their number matters here. */
function vocabulary(count: number): Map<string, GgufValue> {
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    [
      'tokenizer.ggml.tokens',
      { type: 'array', of: 'string', value: Array.from({ length: count }, (_, i) => `t${i}`) },
    ],
    ['tokenizer.ggml.scores', { type: 'array', of: 'f32', value: new Float32Array(count) }],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: new Int32Array(count).fill(1) }],
  ]);
}

function randomModel(family: Family): OpenModel {
  const experts = DENSE.includes(family) ? {} : { numExperts: 8, topK: 2 };
  const shape = {
    family,
    vocabSize: VOCABULARY,
    dModel: 64,
    numLayers: 2,
    numHeads: 4,
    maxSeqLen: 256,
    ffn: { hidden: 96, ...experts },
    ...SHAPES[family],
  };
  const config = completeModelConfig(modelConfigSchema.parse(shape));
  const model = new Transformer(config, createKernels(), {
    precision: 'f32',
    trainable: true,
    seed: SEEDS[family] ?? 5,
  });
  // Norms and biases start as ones and zeros, which would hide one that is forgotten.
  for (const [i, { tensor, init }] of model.parameters.entries()) {
    const rng = new Rng(7, i);
    if (init.kind !== 'normal') for (let j = 0; j < tensor.size; j++) tensor.data[j]! += 0.2 * rng.normal();
  }
  const dir = join(folder, family);
  saveModelFolder(dir, model, trainChar(['abc']));
  return openModel(dir);
}

const tokens = (vocabSize: number) => {
  const rng = new Rng(3);
  return Int32Array.from({ length: POSITIONS }, () => rng.below(vocabSize));
};

function ours(source: OpenModel, ids: Int32Array): Float32Array[] {
  const model = new Transformer(source.config, createKernels(), { precision: 'f32', trainable: false });
  fillWeights(model, source.pieces.values(), source.read);
  const generator = new Generator(model);
  const cache = generator.createCache(1, ids.length);
  const rows = Int32Array.from(ids, (_, i) => i);
  const logits = generator.forward(cache, ids, new Int32Array(ids.length), rows, rows);
  const { vocabSize } = source.config;
  return Array.from(ids, (_, i) => logSoftmax(logits.subarray(i * vocabSize, (i + 1) * vocabSize)));
}

function theirs(path: string, ids: Int32Array): Float32Array[] {
  const model = new LlamaModel(found as Exclude<typeof found, string>, path, {
    threads: 1,
    contextLength: 256,
  });
  try {
    return model.logits(ids).map(logSoftmax);
  } finally {
    model.close();
  }
}

function logSoftmax(logits: Float32Array): Float32Array {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return logits.map((logit) => logit - largest - Math.log(sum));
}

function furthest(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return Math.max(
    ...a.map((row, r) => row.reduce((most, x, i) => Math.max(most, Math.abs(x - b[r]![i]!)), 0)),
  );
}

function written(source: OpenModel, name: string, type: WeightType): string {
  const path = join(folder, `${name}-${type}.gguf`);
  writeGgufModel(source, path, vocabulary(source.config.vocabSize), { type });
  return path;
}

const isAbsent = typeof found === 'string';

describe.skipIf(isAbsent)(`llama.cpp${isAbsent ? ` (skipped: ${found})` : ''}`, () => {
  it.each(FAMILIES)('gives the probabilities of a random %s', (family) => {
    const source = randomModel(family);
    const ids = tokens(VOCABULARY);
    const difference = furthest(ours(source, ids), theirs(written(source, family, 'f32'), ids));
    source.close();
    expect(difference).toBeLessThan(1e-3);
  });

  it.skipIf(!existsSync(STORIES))('gives the probabilities of stories260K', () => {
    const source = openModel(STORIES);
    const ids = tokens(source.config.vocabSize);
    const difference = furthest(ours(source, ids), theirs(written(source, 'stories', 'f32'), ids));
    source.close();
    expect(difference).toBeLessThan(1e-3);
  });

  /*
   * The weights are the same bits on both sides. llama.cpp rounds activations to 8 bits as well, we keep them, so single
   * probabilities differ; over a text they must not.
   */
  it.skipIf(!existsSync(STORIES)).each(['q8_0', 'q4_0', 'q4_k', 'q6_k'] as const)(
    'finds a story as likely as we do, in %s',
    (type) => {
      const source = openModel(STORIES);
      const ids = story(source);
      const path = written(source, 'stories', type);
      source.close();
      const quantised = openModel(path);
      const found = perplexity(ours(quantised, ids), ids);
      quantised.close();
      expect(Math.abs(perplexity(theirs(path, ids), ids) / found - 1)).toBeLessThan(0.005);
      expect(found).toBeLessThan(6); // it is a story, not noise: 512 for a model that knows nothing
    },
  );
});

/** What the model itself tells, drawn token by token. */
function story(source: OpenModel): Int32Array {
  const model = new Transformer(source.config, createKernels(), { precision: 'f32', trainable: false });
  fillWeights(model, source.pieces.values(), source.read);
  const generator = new Generator(model);
  const cache = generator.createCache(1, POSITIONS);
  const rng = new Rng(11);
  const ids = new Int32Array(POSITIONS);
  ids[0] = 1;
  const zero = Int32Array.of(0);
  for (let position = 0; position + 1 < POSITIONS; position++) {
    const at = Int32Array.of(position);
    const logits = generator.forward(cache, ids.subarray(position, position + 1), zero, at, zero);
    let left = rng.uniform();
    const next = logSoftmax(logits).findIndex((logprob) => {
      left -= Math.exp(logprob);
      return left <= 0;
    });
    ids[position + 1] = Math.max(0, next);
  }
  return ids;
}

/** Of every token after the first, given those before it. */
function perplexity(rows: readonly Float32Array[], ids: Int32Array): number {
  let nats = 0;
  for (let i = 1; i < ids.length; i++) nats -= rows[i - 1]![ids[i]!]!;
  return Math.exp(nats / (ids.length - 1));
}
