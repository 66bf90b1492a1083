/**
 * Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * A draw is a pure function of (seed, stream, counter), so a run resumes anywhere and threads never share a state.
 */

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** The four 32-bit words of block `counter` of `stream` under `seed`; counters up to 2^53. */
export function philox(seed: number, stream: number, counter: number): Uint32Array {
  let c0 = counter >>> 0;
  let c1 = Math.floor(counter / 2 ** 32) >>> 0;
  let c2 = stream >>> 0;
  let c3 = Math.floor(stream / 2 ** 32) >>> 0;
  let k0 = seed >>> 0;
  let k1 = Math.floor(seed / 2 ** 32) >>> 0;
  for (let round = 0; round < 10; round++) {
    const low0 = Math.imul(M0, c0) >>> 0;
    const low1 = Math.imul(M1, c2) >>> 0;
    const high0 = multiplyHigh(M0, c0);
    const high1 = multiplyHigh(M1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  return Uint32Array.of(c0, c1, c2, c3);
}

/** A sequence of draws from one (seed, stream), starting at any counter. */
export class Rng {
  private readonly seed: number;
  private readonly stream: number;
  private counter: number;
  private block: Uint32Array = new Uint32Array(4);
  private used = 4;

  constructor(seed: number, stream = 0, counter = 0) {
    this.seed = seed;
    this.stream = stream;
    this.counter = counter;
  }

  /** Uniform in 0..2^32-1. */
  nextUint32(): number {
    if (this.used === 4) {
      this.block = philox(this.seed, this.stream, this.counter++);
      this.used = 0;
    }
    return this.block[this.used++]!;
  }

  /** Uniform in [0, 1), 53 bits. */
  uniform(): number {
    const high = this.nextUint32() >>> 5;
    const low = this.nextUint32() >>> 6;
    return (high * 67108864 + low) / 2 ** 53;
  }

  /** Uniform integer in 0..bound-1, without bias; 1 <= bound <= 2^32. */
  below(bound: number): number {
    const limit = 2 ** 32 - (2 ** 32 % bound);
    for (;;) {
      const value = this.nextUint32();
      if (value < limit) return value % bound;
    }
  }

  /** Standard normal (Box and Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }
}

/** A stream number for a name, so that `rngFor(seed, 'init')` and `rngFor(seed, 'data')` never overlap (FNV-1a). */
export function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

function multiplyHigh(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + Math.floor((aLow * bLow) / 65536);
  const carry = aLow * bHigh + (middle % 65536);
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(carry / 65536)) >>> 0;
}
