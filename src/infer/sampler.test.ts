import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Sampler } from './sampler.ts';

const none = new Map<number, number>();
const logits = Float32Array.of(1, 3, 2, 3, -1, 0.5);

/** How often each id is drawn over many positions. */
function frequencies(params: Parameters<Sampler['sample']>[1], draws = 20_000): number[] {
  const sampler = new Sampler(logits.length);
  const counts = new Array(logits.length).fill(0);
  for (let position = 0; position < draws; position++)
    counts[sampler.sample(logits, params, position, none)]++;
  return counts.map((count) => count / draws);
}

function softmax(x: readonly number[]): number[] {
  const e = x.map(Math.exp);
  const sum = e.reduce((a, b) => a + b);
  return e.map((each) => each / sum);
}

/** Five standard deviations of a frequency over 20,000 draws. */
function expectNear(measured: readonly number[], expected: readonly number[]): void {
  expected.forEach((p, i) => {
    expect(Math.abs(measured[i] - p)).toBeLessThanOrEqual(5 * Math.sqrt((p * (1 - p)) / 20_000));
  });
}

describe('Sampler', () => {
  it('takes the most likely token at temperature 0, the lower id of two', () => {
    expect(new Sampler(6).sample(logits, { temperature: 0 }, 7, none)).toBe(1);
  });

  it('draws by the softmax of the logits over the temperature', () => {
    expectNear(frequencies({}), softmax([...logits]));
    expectNear(frequencies({ temperature: 0.5, seed: 9 }), softmax([...logits].map((x) => x / 0.5)));
  });

  it('keeps what topK, minP and topP leave, renormalized', () => {
    const p = softmax([...logits]);
    const only = (ids: number[]) => {
      const sum = ids.reduce((total, id) => total + p[id], 0);
      return p.map((each, id) => (ids.includes(id) ? each / sum : 0));
    };
    expectNear(frequencies({ topK: 3 }), only([1, 3, 2]));
    expectNear(frequencies({ minP: 0.3 }), only([1, 3, 2]));
    // p is .37 .37 .14 .05 .03 .01: the nucleus of .74 is the first two, of .8 the first three.
    expectNear(frequencies({ topP: p[1] + p[3] - 1e-6 }), only([1, 3]));
    expectNear(frequencies({ topP: 0.8 }), only([1, 3, 2]));
    expectNear(frequencies({ topK: 3, topP: 0.5 }), only([1, 3]));
  });

  it('agrees with a plain nucleus on any distribution', () => {
    const row = fc.array(fc.integer({ min: -600, max: 600 }), { minLength: 2, maxLength: 40 });
    fc.assert(
      fc.property(
        row,
        fc.double({ min: 0.05, max: 0.99, noNaN: true }),
        fc.nat(1000),
        (values, topP, position) => {
          const x = Float32Array.from(values, (value) => value / 100);
          const p = softmax([...x]);
          const order = p.map((_, id) => id).sort((a, b) => p[b] - p[a] || a - b);
          const drawn = new Sampler(x.length).sample(x, { topP }, position, none);
          const before = order.slice(0, order.indexOf(drawn)).reduce((sum, id) => sum + p[id], 0);
          expect(before).toBeLessThan(topP + 1e-9);
        },
      ),
    );
  });

  it('adds biases and subtracts penalties for what was generated', () => {
    const sampler = new Sampler(6);
    const counts = new Map([
      [1, 2],
      [3, 1],
    ]);
    expect(sampler.sample(logits, { temperature: 0, logitBias: [[4, 100]] }, 0, none)).toBe(4);
    expect(sampler.sample(logits, { temperature: 0, frequencyPenalty: 0.4 }, 0, counts)).toBe(3);
    expect(sampler.sample(logits, { temperature: 0, presencePenalty: 2 }, 0, counts)).toBe(2);
  });

  it('draws anew for another seed, choice or position, and the same for the same', () => {
    const flat = new Float32Array(1000);
    const sampler = new Sampler(1000);
    const draw = (seed: number, choice: number, position: number) =>
      sampler.sample(flat, { seed, choice }, position, none);
    expect(draw(1, 0, 5)).toBe(draw(1, 0, 5));
    expect(new Set([draw(1, 0, 5), draw(2, 0, 5), draw(1, 1, 5), draw(1, 0, 6), draw(-1, 0, 5)]).size).toBe(
      5,
    );
  });

  it('gives -1 for NaN', () => {
    expect(new Sampler(2).sample(Float32Array.of(0, Number.NaN), {}, 0, none)).toBe(-1);
  });
});
