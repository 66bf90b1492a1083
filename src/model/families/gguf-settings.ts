/** Settings that all architectures of GGUF share, read and written. @see ggml-org/llama.cpp, gguf.md and llama-arch.cpp */
import { DabarexError } from '../../base/index.ts';
import { type GgufValue, ggufNumber, ggufStrings } from '../../checkpoint/index.ts';
import { hasRouter, type ModelConfig } from '../config.ts';
import type { GgufDescription } from './formats.ts';
import { type Family, traitsOf } from './traits.ts';

type Setting = readonly [key: string, value: GgufValue];

export function u32(value: number): GgufValue {
  return { type: 'u32', value };
}

export function f32(value: number): GgufValue {
  return { type: 'f32', value };
}

/** A number that must be there. @throws gguf_invalid */
export function numberOf(file: GgufDescription, key: string): number {
  const value = floatOf(file, key);
  if (value !== undefined) return value;
  throw new DabarexError(
    'gguf_invalid',
    `${file.path} has no ${key}: a model cannot be made of it. Convert it again.`,
    { path: file.path, key },
  );
}

/** As {@link ggufNumber}, of an f32: the short decimal it was written from, where there is one. */
export function floatOf(file: GgufDescription, key: string): number | undefined {
  const value = ggufNumber(file, key);
  if (value === undefined) return undefined;
  const short = Number(value.toPrecision(7));
  return Math.fround(short) === Math.fround(value) ? short : value;
}

/** The keys of every architecture. */
export function* baseSettings(config: ModelConfig, architecture: string): Generator<Setting> {
  const { ffn, headDim, ropeScaling } = config;
  const { positions } = traitsOf(config.family);
  const key = (name: string) => `${architecture}.${name}`;
  yield ['general.architecture', { type: 'string', value: architecture }];
  yield [key('context_length'), u32(config.maxSeqLen)];
  yield [key('embedding_length'), u32(config.dModel)];
  yield [key('block_count'), u32(config.numLayers)];
  yield [key('feed_forward_length'), u32(ffn.hidden)];
  yield [key('attention.head_count'), u32(config.numHeads)];
  yield [key('attention.head_count_kv'), u32(config.kvHeads)];
  yield [key('vocab_size'), u32(config.vocabSize)];
  if (hasRouter(config)) {
    yield [key('expert_count'), u32(ffn.numExperts)];
    yield [key('expert_used_count'), u32(ffn.topK)];
  }
  if (positions !== 'rope') return;
  yield [key('rope.dimension_count'), u32(headDim)];
  yield [key('rope.freq_base'), f32(config.ropeTheta)];
  if (headDim * config.numHeads !== config.dModel) {
    yield [key('attention.key_length'), u32(headDim)];
    yield [key('attention.value_length'), u32(headDim)];
  }
  if (!ropeScaling || ropeScaling.kind === 'llama3') return; // llama3: as a tensor of divisors
  yield [key('rope.scaling.type'), { type: 'string', value: ropeScaling.kind }];
  yield [key('rope.scaling.factor'), f32(ropeScaling.factor)];
  if (ropeScaling.kind !== 'yarn') return;
  yield [key('rope.scaling.original_context_length'), u32(ropeScaling.originalMaxSeqLen)];
  yield [key('rope.scaling.yarn_beta_fast'), f32(ropeScaling.betaFast)];
  yield [key('rope.scaling.yarn_beta_slow'), f32(ropeScaling.betaSlow)];
}

/** The same, as a recipe would write them; what an architecture adds is left to it. @throws gguf_invalid */
export function ggufShape(file: GgufDescription, architecture: string, family: Family) {
  const key = (name: string) => `${architecture}.${name}`;
  const must = (name: string) => numberOf(file, key(name));
  const may = (name: string) => ggufNumber(file, key(name));
  const numHeads = must('attention.head_count');
  const dModel = must('embedding_length');
  const headDim = may('attention.key_length') ?? may('rope.dimension_count') ?? dModel / numHeads;
  return {
    family,
    vocabSize: ggufStrings(file, 'tokenizer.ggml.tokens')?.length ?? must('vocab_size'),
    dModel,
    numLayers: must('block_count'),
    numHeads,
    kvHeads: may('attention.head_count_kv') ?? numHeads,
    headDim,
    maxSeqLen: must('context_length'),
    ropeTheta: floatOf(file, key('rope.freq_base')) ?? 10_000,
    ropeScaling: scalingOf(file, architecture),
    ffn: {
      hidden: must('feed_forward_length'),
      numExperts: may('expert_count') || 1,
      topK: may('expert_used_count') || 1,
    },
  };
}

function scalingOf(file: GgufDescription, architecture: string) {
  const key = (name: string) => `${architecture}.rope.scaling.${name}`;
  const type = file.metadata.get(key('type'))?.value;
  const factor = floatOf(file, key('factor')) ?? floatOf(file, `${architecture}.rope.scale_linear`);
  if (factor === undefined || factor === 1 || type === 'none') return null;
  if (type !== 'yarn') return { kind: 'linear', factor } as const;
  return {
    kind: type,
    factor,
    originalMaxSeqLen: numberOf(file, key('original_context_length')),
    betaFast: floatOf(file, key('yarn_beta_fast')) ?? 32,
    betaSlow: floatOf(file, key('yarn_beta_slow')) ?? 1,
  } as const;
}
