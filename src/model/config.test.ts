import { describe, expect, it } from 'vitest';
import { parseConfig } from '../base/index.ts';
import { completeModelConfig, modelConfigSchema } from './config.ts';
import { countParameters } from './size.ts';

const dbrx = {
  vocabSize: 100_352,
  dModel: 6144,
  numLayers: 40,
  numHeads: 48,
  kvHeads: 8,
  maxSeqLen: 32_768,
  ropeTheta: 500_000,
  ffn: { hidden: 10_752, numExperts: 16, topK: 4 },
};

describe('model config', () => {
  it.each([
    ['numLayers', { numLayers: 100_000_000 }, /numLayers.*at most 10000/],
    ['dModel', { dModel: 1e15 }, /dModel.*at most 2147483647/],
    [
      'dModel',
      { dModel: 48 * 2 ** 20, headDim: 128, family: 'mixtral' },
      /more than 281474976710656 parameters/,
    ],
  ])('refuses a %s that no machine could count', (_, change, message) => {
    const parse = () => parseConfig(modelConfigSchema, { ...dbrx, ...change }, 'test');
    expect(parse).toThrow(
      expect.objectContaining({ code: 'config_invalid', message: expect.stringMatching(message) }),
    );
  });

  it('counts the published parameters of DBRX', () => {
    const config = completeModelConfig(parseConfig(modelConfigSchema, dbrx, 'test'));
    const count = countParameters(config);
    expect(count.total).toBe(131_596_523_520);
    expect(count.active).toBe(36_469_708_800);
    expect(count.activeInProducts).toBe(35_853_146_112);
  });

  it('counts tied embeddings once, as the output projection', () => {
    const countOf = (tieEmbeddings: boolean) =>
      countParameters(
        completeModelConfig(parseConfig(modelConfigSchema, { ...dbrx, tieEmbeddings }, 'test')),
      );
    const [tied, untied] = [countOf(true), countOf(false)];
    expect(untied.total - tied.total).toBe(100_352 * 6144);
    expect(untied.active - tied.active).toBe(100_352 * 6144);
    expect(tied.activeInProducts).toBe(untied.activeInProducts);
    expect(tied.activeInProducts).toBe(tied.active);
  });

  it('counts the ladder of the DBRX gauntlet', () => {
    const ladder = [
      [2048, 16, 24, 3584, 9.17, 2.83],
      [3072, 24, 22, 5376, 18.61, 5.53],
      [4096, 32, 24, 7168, 35.65, 10.29],
      [5120, 40, 32, 8960, 73.51, 20.66],
    ];
    for (const [dModel, numHeads, numLayers, hidden, total, active] of ladder) {
      const shape = { ...dbrx, dModel, numHeads, numLayers, maxSeqLen: 4096, ffn: { ...dbrx.ffn, hidden } };
      const count = countParameters(completeModelConfig(parseConfig(modelConfigSchema, shape, 'test')));
      expect(Number((count.total / 1e9).toFixed(2))).toBe(total);
      expect(Number((count.active / 1e9).toFixed(2))).toBe(active);
    }
  });

  it('rejects shapes that do not fit', () => {
    expect(() => parseConfig(modelConfigSchema, { ...dbrx, numHeads: 7 }, 'test')).toThrow(
      /multiple of numHeads/,
    );
    const ffn = { ...dbrx.ffn, topK: 17 };
    expect(() => parseConfig(modelConfigSchema, { ...dbrx, ffn }, 'test')).toThrow(/topK must not exceed/);
    expect(() => parseConfig(modelConfigSchema, { ...dbrx, dmodel: 1 }, 'test')).toThrow(
      /Did you mean "dModel"/,
    );
    const config = parseConfig(modelConfigSchema, dbrx, 'test');
    expect(() => completeModelConfig(config, 200_000)).toThrow(/has 200000 tokens/);
  });
});
