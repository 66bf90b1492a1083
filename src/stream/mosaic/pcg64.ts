/**
 * numpy's `default_rng(seed)`, bit for bit: PCG64 with the draws that MosaicML's shuffles take from it. numpy bounds
 * integers in two ways, which must not be mixed up: shuffles by masked rejection, `integers` and `choice` by Lemire's
 * multiplication (2019). 32-bit draws use the low half of a 64-bit draw first and keep the high half for the next;
 * uniform numbers take a fresh 64-bit draw and leave the kept half where it is.
 * Limits: ranges below 2^32; numpy promises the streams of a version only (NEP 19), these are those of 1.17 to 2.4.
 */
import { assert } from '../../base/index.ts';
import { BUFFER_DRAWS, createKernel, type Pcg64Kernel } from './pcg64-kernel.ts';
import { seedWords } from './seed-sequence.ts';

/** numpy takes another way where the choice is a large part of many. */
const TAIL_MIN = 10_000;
const TAIL_SHARE = 50;

export class NumpyRandom {
  private readonly kernel: Pcg64Kernel = createKernel();
  /** the next draw's first word in the kernel's buffer */
  private next = 2 * BUFFER_DRAWS;
  private kept = -1;

  /** @param seed an integer from 0 to 2^53 - 1 */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed) && seed >= 0, `seed ${seed}`);
    const words = new BigUint64Array(seedWords(seed, 8).buffer);
    const [high, low, incHigh, incLow] = words as unknown as [bigint, bigint, bigint, bigint];
    const increment = BigInt.asUintN(128, (((incHigh << 64n) | incLow) << 1n) | 1n);
    const { state } = this.kernel;
    state[2] = BigInt.asUintN(64, increment);
    state[3] = increment >> 64n;
    // From state 0 one step gives the increment.
    const started = increment + ((high << 64n) | low);
    state[0] = BigInt.asUintN(64, started);
    state[1] = BigInt.asUintN(64, started >> 64n);
    this.kernel.fill(1);
  }

  /** 64 bits, as [low, high] words. */
  next64(): [number, number] {
    const at = this.advance();
    const { draws } = this.kernel;
    return [draws[at]!, draws[at + 1]!];
  }

  next32(): number {
    const { kept } = this;
    if (kept >= 0) {
      this.kept = -1;
      return kept;
    }
    const at = this.advance();
    this.kept = this.kernel.draws[at + 1]!;
    return this.kernel.draws[at]!;
  }

  /** In [low, high), 53 bits. */
  uniform(low: number, high: number): number {
    const at = this.advance();
    const { draws } = this.kernel;
    // The upper 53 bits of 64.
    const bits = draws[at + 1]! * 2 ** 21 + (draws[at]! >>> 11);
    return low + (high - low) * (bits / 2 ** 53);
  }

  /** An integer in low..high-1. */
  integers(low: number, high: number): number {
    assert(high > low, `integers(${low}, ${high})`);
    return low + this.lemire(high - low - 1);
  }

  /** Shuffles a list in place. */
  shuffleList(items: unknown[]): void {
    const order = ascending(items.length);
    this.shuffle(order);
    const before = [...items];
    for (const [i, from] of order.entries()) items[i] = before[from];
  }

  /** Shuffles `values[start..end-1]` in place. */
  shuffle(values: Uint32Array, start = 0, end = values.length): void {
    const { draws } = this.kernel;
    let { next, kept } = this;
    for (let i = end - start - 1; i > 0; i--) {
      const mask = 0xffffffff >>> Math.clz32(i);
      let j: number;
      // next32, written out: this loop is all the time a shuffle takes.
      do {
        if (kept >= 0) {
          j = (kept & mask) >>> 0;
          kept = -1;
        } else {
          if (next === draws.length) {
            this.kernel.fill(BUFFER_DRAWS);
            next = 0;
          }
          j = (draws[next]! & mask) >>> 0;
          kept = draws[next + 1]!;
          next += 2;
        }
      } while (j > i);
      const moved = values[start + i]!;
      values[start + i] = values[start + j]!;
      values[start + j] = moved;
    }
    this.next = next;
    this.kept = kept;
  }

  permutation(count: number): Uint32Array {
    const order = ascending(count);
    this.shuffle(order);
    return order;
  }

  /** `count` different numbers of 0..total-1, in random order. */
  choice(total: number, count: number): Uint32Array {
    assert(count >= 0 && count <= total, `choice of ${count} from ${total}`);
    if (total > TAIL_MIN && count > Math.floor(total / TAIL_SHARE)) {
      const all = ascending(total);
      this.shuffleByLemire(all, Math.max(total - count, 1));
      return all.slice(total - count);
    }
    // Floyd's sampling.
    const chosen = new Uint32Array(count);
    const seen = new Set<number>();
    for (let k = 0, limit = total - count; k < count; k++, limit++) {
      const drawn = this.lemire(limit);
      const value = seen.has(drawn) ? limit : drawn;
      seen.add(value);
      chosen[k] = value;
    }
    this.shuffleByLemire(chosen, 1);
    return chosen;
  }

  private shuffleByLemire(values: Uint32Array, first: number): void {
    for (let i = values.length - 1; i >= first; i--) {
      const j = this.lemire(i);
      const moved = values[i]!;
      values[i] = values[j]!;
      values[j] = moved;
    }
  }

  /** An integer in 0..last. */
  private lemire(last: number): number {
    if (last === 0) return 0;
    assert(last < 2 ** 32, `a range of ${last + 1}`);
    if (last === 2 ** 32 - 1) return this.next32();
    const range = last + 1;
    let [high, low] = multiplied(this.next32(), range);
    if (low < range) {
      const threshold = (2 ** 32 - range) % range;
      while (low < threshold) [high, low] = multiplied(this.next32(), range);
    }
    return high;
  }

  private advance(): number {
    if (this.next === 2 * BUFFER_DRAWS) {
      this.kernel.fill(BUFFER_DRAWS);
      this.next = 0;
    }
    const at = this.next;
    this.next += 2;
    return at;
  }
}

export function ascending(count: number): Uint32Array {
  const values = new Uint32Array(count);
  for (let i = 0; i < count; i++) values[i] = i;
  return values;
}

/** [high, low] words of the product of two 32-bit words. */
function multiplied(a: number, b: number): [number, number] {
  const low = Math.imul(a, b) >>> 0;
  // The high half of each factor apart: both parts are exact, and so is their sum less the low word.
  const upper = (a >>> 16) * b;
  const lower = (a & 0xffff) * b;
  const middle = upper + Math.floor(lower / 65536);
  return [Math.floor(middle / 65536), low];
}
