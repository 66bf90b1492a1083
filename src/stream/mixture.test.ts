import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Mixture } from './mixture.ts';

const rawWeights = fc
  .array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 8 })
  .filter((raw) => raw.some((each) => each > 0));

const normalised = (raw: readonly number[]) => {
  const sum = raw.reduce((a, b) => a + b, 0);
  return raw.map((each) => each / sum);
};

describe('Mixture', () => {
  it('keeps every share within one draw at every moment', () => {
    fc.assert(
      fc.property(rawWeights, (raw) => {
        const weights = normalised(raw);
        const mixture = new Mixture(weights);
        const drawn = raw.map(() => 0);
        let isWeighted = true;
        let most = 0;
        for (let n = 1; n <= 500; n++) {
          const next = mixture.next();
          drawn[next]!++;
          isWeighted &&= weights[next]! > 0;
          for (const [i, weight] of weights.entries())
            most = Math.max(most, Math.abs(weight * n - drawn[i]!));
        }
        expect(isWeighted).toBe(true);
        expect(most).toBeLessThan(1 + 1e-9);
      }),
    );
  });

  it('draws what the sum of the shares says while weights ramp', () => {
    fc.assert(
      fc.property(rawWeights, fc.integer({ min: 1, max: 20 }), fc.nat(), (raw, batch, shift) => {
        const from = normalised(raw);
        const to = from.map((_, i) => from[(i + shift) % from.length]!);
        const at = (t: number) => from.map((each, i) => each + (to[i]! - each) * t);
        const mixture = new Mixture(from);
        const owed = raw.map(() => 0);
        let most = 0;
        for (let n = 0; n < 500; n++) {
          const weights = at(Math.floor(n / batch) * batch * (1 / 500));
          mixture.setWeights(weights);
          for (const [i, weight] of weights.entries()) owed[i]! += weight;
          owed[mixture.next()]!--;
          for (const each of owed) most = Math.max(most, Math.abs(each));
        }
        expect(most).toBeLessThan(2);
      }),
    );
  });

  it('never draws a stream of weight 0, even one that is owed a draw', () => {
    const mixture = new Mixture([0.6, 0.4]);
    expect(mixture.next()).toBe(0);
    mixture.setWeights([1, 0]);
    expect(Array.from({ length: 20 }, () => mixture.next())).toEqual(new Array(20).fill(0));
    mixture.setWeights([0.6, 0.4]);
    expect(mixture.next()).toBe(1);
  });
});
