/**
 * A random order of N places in constant memory: place k is known without the places before it. A Feistel network over
 * Z_a × Z_b with a·b just above N (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"), walked until the value is
 * below N, which takes one step nearly always; its round keys are Philox draws, its round function is the finaliser of
 * MurmurHash3 (Appleby). Few places are shuffled outright instead, since small networks permute poorly.
 * Limit: N at most 2^40. A network reaches few of all N! orders; docs/streaming.md measures what it does reach.
 */
import { assert, philox, Rng } from '../../base/index.ts';

const ROUNDS = 8;
const TABLE_PLACES = 1024;
const WORD = 2 ** 32;

/** What an order depends on, e.g. (seed, stream), then epoch and block: see {@link subkey}. */
export interface OrderKey {
  readonly seed: number;
  readonly stream: number;
}

/** The key of part `counter` (an epoch, a block …) of what `key` stands for. */
export function subkey(key: OrderKey, counter: number): OrderKey {
  const [a, b, c, d] = philox(key.seed, key.stream, counter) as unknown as [number, number, number, number];
  return { seed: a + (b & 0x1fffff) * WORD, stream: c + (d & 0x1fffff) * WORD };
}

/** A permutation of 0..size-1. */
export class IndexPermutation {
  readonly size: number;
  private readonly table: Uint32Array | undefined;
  private readonly keys: Uint32Array;
  private readonly a: number;
  private readonly b: number;

  constructor(size: number, key: OrderKey) {
    assert(size >= 0 && size <= 2 ** 40, `a permutation of ${size} places`);
    this.size = size;
    this.a = Math.ceil(Math.sqrt(size));
    this.b = Math.ceil(size / Math.max(1, this.a));
    this.keys = new Uint32Array(ROUNDS);
    if (size <= TABLE_PLACES) {
      this.table = shuffledTable(size, key);
      return;
    }
    for (let i = 0; i < ROUNDS; i += 4) this.keys.set(philox(key.seed, key.stream, i / 4), i);
  }

  /** What stands at `place`. */
  at(place: number): number {
    if (this.table) return this.table[place]!;
    const { a, b, keys } = this;
    const toA = a / WORD;
    const toB = b / WORD;
    let value = place;
    do {
      let left = Math.floor(value / b);
      let right = value - left * b;
      for (let round = 0; round < ROUNDS; round += 2) {
        left += Math.floor(mixed(right ^ keys[round]!) * toA);
        if (left >= a) left -= a;
        right += Math.floor(mixed(left ^ keys[round + 1]!) * toB);
        if (right >= b) right -= b;
      }
      value = left * b + right;
    } while (value >= this.size);
    return value;
  }
}

function mixed(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}

function shuffledTable(size: number, key: OrderKey): Uint32Array {
  const rng = new Rng(key.seed, key.stream);
  const table = Uint32Array.from({ length: size }, (_, i) => i);
  for (let i = size - 1; i > 0; i--) {
    const j = rng.below(i + 1);
    const kept = table[i]!;
    table[i] = table[j]!;
    table[j] = kept;
  }
  return table;
}
