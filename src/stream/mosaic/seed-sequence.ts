/**
 * numpy's SeedSequence (O'Neill 2015, "Developing a seed_seq alternative"): a seed to the words a generator starts from,
 * bit for bit. Limit: one integer seed below 2^53, no spawning.
 */

const INIT_A = 0x43b0d7e5;
const MULT_A = 0x931e8875;
const INIT_B = 0x8b51f9dd;
const MULT_B = 0x58f38ded;
const MIX_LEFT = 0xca01f9dd;
const MIX_RIGHT = 0x4973f715;
const POOL_WORDS = 4;

/** Hashes one word after another, each with its own constant. */
class WordHash {
  private constant: number;
  private readonly multiplier: number;

  constructor(initial: number, multiplier: number) {
    this.constant = initial;
    this.multiplier = multiplier;
  }

  next(word: number): number {
    word ^= this.constant;
    this.constant = Math.imul(this.constant, this.multiplier);
    return folded(Math.imul(word, this.constant));
  }
}

/** The first `count` 32-bit words for a seed. */
export function seedWords(seed: number, count: number): Uint32Array {
  const pool = mixedPool(seed);
  const hash = new WordHash(INIT_B, MULT_B);
  return Uint32Array.from({ length: count }, (_, i) => hash.next(pool[i % POOL_WORDS]!));
}

function mixedPool(seed: number): Uint32Array {
  const hash = new WordHash(INIT_A, MULT_A);
  const entropy = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, 0, 0];
  const pool = Uint32Array.from(entropy, (word) => hash.next(word));
  for (let source = 0; source < POOL_WORDS; source++) {
    for (let target = 0; target < POOL_WORDS; target++) {
      if (source === target) continue;
      const hashed = hash.next(pool[source]!);
      pool[target] = folded(Math.imul(MIX_LEFT, pool[target]!) - Math.imul(MIX_RIGHT, hashed));
    }
  }
  return pool;
}

function folded(word: number): number {
  return word ^ ((word >>> 0) >>> 16);
}
