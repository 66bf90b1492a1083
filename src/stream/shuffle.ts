/**
 * A random order of N samples in constant memory: a keyed Feistel network over the smallest even number of bits that
 * holds N, walked until the value is below N (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"). The
 * round function is Philox, so place k of any epoch is known without the places before it.
 * Limit: N below 2^40 and epochs below 2^30.
 */
import { assert, philox } from '../base/index.ts';

const ROUNDS = 8;
/** Very small networks permute poorly; a wider one costs only a longer walk. */
const MIN_HALF_BITS = 4;

/** Which of the samples 0..numSamples-1 stands at `place` in the order of this (seed, stream, epoch). */
export function shuffledIndex(
  place: number,
  numSamples: number,
  key: { readonly seed: number; readonly stream: number; readonly epoch: number },
): number {
  assert(place >= 0 && place < numSamples && numSamples < 2 ** 40, `place ${place} of ${numSamples}`);
  const halfBits = Math.max(MIN_HALF_BITS, Math.ceil(Math.log2(numSamples) / 2));
  const half = 2 ** halfBits;
  let value = place;
  do {
    let left = Math.floor(value / half);
    let right = value % half;
    for (let round = 0; round < ROUNDS; round++) {
      // One counter for every (epoch, round, half): at most 30 + 3 + 20 bits.
      const counter = (key.epoch * ROUNDS + round) * half + right;
      const word = philox(key.seed, key.stream, counter)[0]!;
      [left, right] = [right, (left ^ word) & (half - 1)];
    }
    value = left * half + right;
  } while (value >= numSamples);
  return value;
}
