import { expect, it } from 'vitest';
import { trainConfigSchema } from '../../train/index.ts';
import { bytesPerTokenOf, mixOf, type TokenData } from './data.ts';

const config = (phases?: unknown) =>
  trainConfigSchema.parse({ duration: '1step', sequenceLength: 8, batchSequences: 1, phases });
const curriculum = config([
  { fraction: 0.75, weights: { a: 3, b: 1 } },
  { fraction: 0.25, weights: { b: 5 } },
]);
const split = (tokens: number, bytesPerToken: number) => ({ train: { tokens, bytesPerToken } });
const data = { manifest: { domains: { a: split(300, 4), b: split(100, 2) } } } as unknown as TokenData;

it('mixes the domains of all phases by their shares of the run', () => {
  const mix = mixOf(curriculum)!;
  expect(mix.a).toBeCloseTo(0.75 * 0.75, 12);
  expect(mix.b).toBeCloseTo(0.75 * 0.25 + 0.25, 12);
  expect(mixOf(config())).toBeUndefined();
});

it('counts the bytes of a token in the mix of the phase at hand', () => {
  expect(bytesPerTokenOf(data, curriculum, 0)).toBeCloseTo(0.75 * 4 + 0.25 * 2, 12);
  expect(bytesPerTokenOf(data, curriculum, 1)).toBe(2);
  expect(bytesPerTokenOf(data, config(), 0)).toBeCloseTo(3.5, 12);
});
