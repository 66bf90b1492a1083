import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseConfig } from './config.ts';

const schema = z.strictObject({
  name: z.string(),
  train: z.strictObject({ learningRate: z.number().positive(), duration: z.string().default('1ep') }),
});

describe('parseConfig', () => {
  it('fills in defaults and freezes the result deeply', () => {
    const config = parseConfig(schema, { name: 'a', train: { learningRate: 1 } }, 'a.yaml');
    expect(config).toEqual({ name: 'a', train: { learningRate: 1, duration: '1ep' } });
    expect(Object.isFrozen(config.train)).toBe(true);
  });

  it('names the nearest key for an unknown one', () => {
    const parse = () =>
      parseConfig(schema, { name: 'a', train: { learningRat: 1, learningRate: 1 } }, 'a.yaml');
    expect(parse).toThrow(
      expect.objectContaining({
        code: 'config_unknown_key',
        message: expect.stringMatching(/a\.yaml.*"train\.learningRat".*"train\.learningRate"/),
      }),
    );
  });

  it('names the path of a value that does not fit', () => {
    const parse = () => parseConfig(schema, { name: 'a', train: { learningRate: -1 } }, 'a.yaml');
    expect(parse).toThrow(
      expect.objectContaining({
        code: 'config_invalid',
        message: expect.stringContaining('a.yaml: train.learningRate'),
      }),
    );
  });
});
