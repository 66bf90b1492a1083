import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type NativeShuffle, SampleOrder, type SampleOrderOptions } from './sample-order.ts';

const make = (shardSizes: readonly number[], options: Partial<SampleOrderOptions> = {}) =>
  new SampleOrder({
    shuffle: 'block',
    blockSize: 20,
    lanes: 1,
    shardSizes,
    key: { seed: 1, stream: 2 },
    ...options,
  });
const draws = (order: SampleOrder, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => order.at(from + i));
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
const ascending = (a: number, b: number) => a - b;

describe('SampleOrder', () => {
  it('draws every sample of uneven shards once an epoch and lane, whatever blocks and lanes', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 12 });
    const shuffles = fc.constantFrom<NativeShuffle>('block', 'full', 'none');
    fc.assert(
      fc.property(
        sizes,
        shuffles,
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 5 }),
        (shardSizes, shuffle, blockSize, lanes) => {
          const total = shardSizes.reduce((sum, size) => sum + size, 0);
          fc.pre(total >= lanes);
          const order = make(shardSizes, { shuffle, blockSize, lanes });
          const rows = Math.ceil(total / lanes);
          const all = draws(order, 0, 3 * rows * lanes);
          const perLane = upTo(lanes).map((lane) => all.filter((_, i) => i % lanes === lane));
          const own = perLane.map((each, lane) =>
            each.slice(0, Math.floor(total / lanes) + (lane < total % lanes ? 1 : 0)),
          );
          expect(own.flat().sort(ascending)).toEqual(upTo(total));
          for (const [lane, first] of own.entries()) {
            const second = perLane[lane]!.slice(first.length, 2 * first.length);
            expect(second.toSorted(ascending)).toEqual(first.toSorted(ascending));
          }
        },
      ),
    );
  });

  it('keeps the written order where told not to shuffle, and starts anew', () => {
    expect(draws(make([3, 2], { shuffle: 'none' }), 0, 7)).toEqual([0, 1, 2, 3, 4, 0, 1]);
  });

  it('needs the shards of one block at a time, and tells them before', () => {
    const shardSizes = Array.from({ length: 40 }, (_, i) => 5 + (i % 7));
    const shardOf = shardSizes.flatMap((size, shard) => new Array<number>(size).fill(shard));
    const order = make(shardSizes, { blockSize: 24 });
    const count = Math.round(shardOf.length / 24);
    for (let block = 0; block < count; block++) {
      const from = Math.ceil((block * shardOf.length) / count);
      const used = new Set(draws(order, from, from + 10).map((sample) => shardOf[sample]!));
      expect(used.size).toBeLessThanOrEqual(Math.ceil(24 / 5) + 2);
      const told = order.shardsBetween(from, from + 10, () => true);
      for (const shard of used) expect(told).toContain(shard);
      expect(told.length).toBeLessThanOrEqual(2 * (Math.ceil(24 / 5) + 2));
    }
    const all = order.shardsBetween(0, shardOf.length, () => true);
    expect(all.toSorted(ascending)).toEqual(upTo(40));
    expect(all).not.toEqual(upTo(40));
  });

  it('keeps the shards of a lane its own, save those cut between two, in every epoch', () => {
    const shardSizes = new Array<number>(32).fill(10);
    const order = make(shardSizes, { lanes: 4 });
    const perLane = upTo(4).map((lane) => new Set(order.shardsBetween(0, 3 * 320, (each) => each === lane)));
    for (const shards of perLane) expect(shards.size).toBe(8);
    expect(new Set(perLane.flatMap((shards) => [...shards])).size).toBe(32);
    const drawn = new Set(
      draws(order, 0, 960)
        .filter((_, i) => i % 4 === 2)
        .map((sample) => Math.floor(sample / 10)),
    );
    expect(drawn).toEqual(perLane[2]);
  });

  it('gives the same place whatever was asked before', () => {
    const order = make(new Array(50).fill(9), { lanes: 2 });
    const expected = draws(order, 0, 900);
    for (const draw of [899, 3, 450, 451, 2, 898]) expect(order.at(draw)).toBe(expected[draw]);
    expect(expected.slice(0, 450)).not.toEqual(expected.slice(450));
  });

  it('refuses more lanes than samples', () => {
    expect(() => make([1, 1], { lanes: 3 })).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });
});
