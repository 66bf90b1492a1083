import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseConfig } from './config.ts';

const schema = z.strictObject({
  name: z.string(),
  train: z.strictObject({ learningRate: z.number().positive(), duration: z.string().default('10Mtok') }),
});

describe('parseConfig', () => {
  it('fills in defaults and freezes the result deeply', () => {
    const config = parseConfig(schema, { name: 'a', train: { learningRate: 1 } }, 'a.yaml');
    expect(config).toEqual({ name: 'a', train: { learningRate: 1, duration: '10Mtok' } });
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

  it('names no key that is far from the unknown one, but those there are', () => {
    const parse = () => parseConfig(schema, { name: 'a', train: { learningRate: 1, xyz: 1 } }, 'a.yaml');
    expect(parse).toThrow('unknown key "train.xyz". The keys here are learningRate, duration.');
  });

  const kinds = z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('tail') }),
    z.strictObject({ kind: z.literal('hash') }),
  ]);

  it.each<[z.ZodType, unknown, string]>([
    [z.number(), 'high', 'x: "high" must be a number.'],
    [z.number().int(), 1.5, 'x: 1.5 must be a whole number.'],
    [z.number(), undefined, 'x: missing; it must be a number.'],
    [z.strictObject({}), 3, 'x: 3 must be a mapping of keys.'],
    [z.number().positive(), -1, 'x: -1 must be more than 0.'],
    [z.number().max(1), 7, 'x: 7 must be at most 1.'],
    [z.array(z.string()).min(1), [], 'x: [] must be a list of at least 1 entries.'],
    [z.enum(['adamw', 'muon']), 'adam', 'x: "adam" must be "adamw" or "muon".'],
    [
      z.enum(['minified', 'length', 'normalise', 'c4', 'pii']),
      'lenght',
      'x: "lenght" must be "length", which is nearest, or one of "minified", "normalise", "c4", "pii".',
    ],
    [z.enum(['a', 'b', 'c', 'd', 'e']), 'other', 'x: "other" must be "a" or "b" or "c" or "d" or "e".'],
    [kinds, { kind: 'head' }, 'x.kind: "head" must be "tail" or "hash".'],
    [z.union([z.string(), z.number()]), true, 'x: true must be text or a number.'],
    [z.string().regex(/^a/, { message: 'begin with an a' }), 'b', 'x: begin with an a.'],
    [z.union([z.string(), z.strictObject({ y: z.number() })]), { y: 'z' }, 'x.y: "z" must be a number.'],
  ])('says in our words what is wrong with a value (%#)', (of, x, message) => {
    expect(() => parseConfig(z.strictObject({ x: of }), { x }, 'a.yaml')).toThrow(
      expect.objectContaining({
        code: 'config_invalid',
        message: expect.stringContaining(`a.yaml: ${message}`),
      }),
    );
  });
});
