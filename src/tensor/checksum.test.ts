import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addBlocksPlainly, Checksum } from './checksum.ts';
import { nativeChecksumBlocks } from './native.ts';

const native = nativeChecksumBlocks();
const bytesOf = fc.uint8Array({ maxLength: 1000 });

describe('a checksum', () => {
  it.skipIf(native === null)('is the same by the addon and by its definition', () => {
    fc.assert(
      fc.property(bytesOf, (bytes) => {
        const plain = new Checksum(addBlocksPlainly).update(bytes).digest();
        expect(new Checksum(native!).update(bytes).digest()).toBe(plain);
      }),
    );
  });

  it('does not depend on how the bytes are cut', () => {
    fc.assert(
      fc.property(bytesOf, fc.array(fc.integer({ min: 0, max: 300 })), (bytes, cuts) => {
        const parts = new Checksum();
        let at = 0;
        for (const length of cuts) {
          parts.update(bytes.subarray(at, at + length));
          at = Math.min(bytes.length, at + length);
        }
        expect(parts.update(bytes.subarray(at)).digest()).toBe(new Checksum().update(bytes).digest());
      }),
    );
  });

  it('sees every flipped bit, every missing and every added byte', () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => i * 7);
    const digests = new Set([new Checksum().update(bytes).digest()]);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      digests.add(new Checksum().update(flipped).digest());
    }
    for (let length = 0; length < bytes.length; length++) {
      digests.add(new Checksum().update(bytes.subarray(0, length)).digest());
    }
    digests.add(new Checksum().update(bytes).update(Uint8Array.of(0)).digest());
    expect(digests.size).toBe(1 + bytes.length * 8 + bytes.length + 1);
  });

  it('is what it was: files written before must still be recognised', () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => i * 7);
    expect(new Checksum().update(bytes).digest()).toBe('f2e1d5e39ca40c5b');
  });
});
