import { expect, it } from 'vitest';
import { trainConfigSchema } from '../../train/index.ts';
import { dataConfigSchema } from '../data-config.ts';
import { bytesPerTokenOf, mixOf, type TokenData } from './data.ts';

const train = trainConfigSchema.parse({ duration: '100step', sequenceLength: 8, batchSequences: 1 });
const sources = { sources: [{ url: 'file:x' }] };
const config = (curriculum?: unknown) =>
  dataConfigSchema.parse({ domains: { a: sources, b: sources }, curriculum });
const domain = (samples: number, bytesPerToken: number) => ({ samples, bytesPerToken });
const data = { domains: { a: domain(300, 4), b: domain(100, 2) } } as unknown as TokenData;

it('mixes the domains of all phases by their shares of the run', () => {
  const curriculum = [
    { duration: '75step', weights: { a: 3, b: 1 } },
    { duration: 'rest', weights: { b: 5 } },
  ];
  const mix = mixOf({ data: config(curriculum), train })!;
  expect(mix.a).toBeCloseTo(0.75 * 0.75, 12);
  expect(mix.b).toBeCloseTo(0.75 * 0.25 + 0.25, 12);
  expect(mixOf({ data: config(), train })).toBeUndefined();
});

it('counts the bytes of a token in the mix at hand', () => {
  expect(bytesPerTokenOf(data, { a: 0.75, b: 0.25 })).toBeCloseTo(0.75 * 4 + 0.25 * 2, 12);
  expect(bytesPerTokenOf(data, { b: 1 })).toBe(2);
  expect(bytesPerTokenOf(data)).toBeCloseTo(3.5, 12);
});
