import { describe, expect, it } from 'vitest';
import { philox, Rng } from './rng.ts';

describe('philox 4x32-10', () => {
  it('gives the known answers of the Random123 distribution', () => {
    const hex = (words: Uint32Array) =>
      [...words].map((word) => word.toString(16).padStart(8, '0')).join(' ');
    expect(hex(philox(0, 0, 0))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
  });

  it('starts anywhere: draws from counter n are the tail of the draws from 0', () => {
    const whole = new Rng(7, 3);
    const tail = new Rng(7, 3, 5);
    for (let i = 0; i < 20; i++) whole.nextUint32();
    for (let i = 0; i < 20; i++) expect(tail.nextUint32()).toBe(whole.nextUint32());
  });

  it('has the mean and variance of its distributions', () => {
    const rng = new Rng(1);
    const n = 20_000;
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < n; i++) {
      const x = rng.normal();
      sum += x;
      squares += x * x;
    }
    expect(Math.abs(sum / n)).toBeLessThan(4 / Math.sqrt(n));
    expect(Math.abs(squares / n - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
  });

  it('draws every value below a bound', () => {
    const rng = new Rng(2);
    const seen = new Set(Array.from({ length: 200 }, () => rng.below(5)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4]);
  });
});
