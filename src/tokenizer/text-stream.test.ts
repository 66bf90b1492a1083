import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TextStream } from './text-stream.ts';

/** Sends `bytes` in pieces of the given sizes; the pieces of text that came out, and whether a stop ended it. */
function stream(bytes: Uint8Array, sizes: readonly number[], stops: readonly string[] = []) {
  const out = new TextStream(stops);
  const pieces: string[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length];
    const { text, stopped } = out.push(bytes.subarray(at, at + size));
    pieces.push(text);
    if (stopped) return { pieces, stopped };
    at += size;
  }
  const { text, stopped } = out.end();
  return { pieces: [...pieces, text], stopped };
}

describe('TextStream', () => {
  it('never breaks a character, whatever the tokens are', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 });
    // A replacement character of the text's own would look like a broken one.
    const whole = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\ufffd'));
    fc.assert(
      fc.property(whole, sizes, (text, cuts) => {
        const { pieces } = stream(Buffer.from(text), cuts);
        expect(pieces.join('')).toBe(text);
        for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}|\ufffd/u);
      }),
    );
  });

  it('gives the text before the stop string that is complete first, however it is cut', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'é'), minLength: 1, maxLength: 4 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'é'), maxLength: 30 });
    const sizes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1 });
    fc.assert(
      fc.property(text, fc.array(word, { minLength: 1, maxLength: 4 }), sizes, (whole, stops, cuts) => {
        const ends = stops
          .filter((stop) => whole.includes(stop))
          .map((stop) => [whole.indexOf(stop), stop.length]);
        ends.sort(([a, n], [b, m]) => a + n - (b + m) || a - b);
        const { pieces, stopped } = stream(Buffer.from(whole), cuts, stops);
        expect(stopped).toBe(ends.length > 0);
        expect(pieces.join('')).toBe(ends.length > 0 ? whole.slice(0, ends[0][0]) : whole);
      }),
    );
  });

  it('holds back no more than what may begin a stop string', () => {
    const out = new TextStream(['STOP']);
    expect(out.push(Buffer.from('one ST'))).toEqual({ text: 'one ', stopped: false });
    expect(out.push(Buffer.from('A'))).toEqual({ text: 'STA', stopped: false });
    expect(out.push(Buffer.from('STO'))).toEqual({ text: '', stopped: false });
    expect(out.end()).toEqual({ text: 'STO', stopped: false });
  });

  it('shows bytes that are not UTF-8 as U+FFFD and keeps a byte order mark', () => {
    expect(stream(Uint8Array.of(0x61, 0xff, 0x62, 0xe2, 0x82), [1]).pieces.join('')).toBe('a\ufffdb\ufffd');
    expect(stream(Buffer.from('\ufeffx'), [2]).pieces.join('')).toBe('\ufeffx');
  });
});
