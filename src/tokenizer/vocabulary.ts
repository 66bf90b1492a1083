/** The bytes of every token in one buffer, and decoding with it; shared by all kinds of tokenizer. */
import type { DecodeOptions } from './tokenizer.ts';

export class Vocabulary {
  /** one more than the largest id */
  readonly size: number;
  private readonly bytes: Uint8Array;
  private readonly offsets: Uint32Array;
  private readonly isSpecial: Uint8Array;

  /**
   * @param tokens bytes of each id; undefined where an id names no token
   * @param specialIds ids left out by `skipSpecialTokens`
   */
  constructor(tokens: readonly (Uint8Array | undefined)[], specialIds: Iterable<number>) {
    this.size = tokens.length;
    this.offsets = new Uint32Array(tokens.length + 1);
    tokens.forEach((token, id) => {
      this.offsets[id + 1] = this.offsets[id]! + (token?.length ?? 0);
    });
    this.bytes = new Uint8Array(this.offsets[tokens.length]!);
    tokens.forEach((token, id) => {
      if (token) this.bytes.set(token, this.offsets[id]!);
    });
    this.isSpecial = new Uint8Array(tokens.length);
    for (const id of specialIds) this.isSpecial[id] = 1;
  }

  tokenBytes(id: number): Uint8Array {
    return id >= 0 && id < this.size
      ? this.bytes.slice(this.offsets[id]!, this.offsets[id + 1]!)
      : new Uint8Array(0);
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const skips = options.skipSpecialTokens ?? false;
    const leftOut = (id: number) => !(id >= 0 && id < this.size) || (skips && this.isSpecial[id] === 1);
    let length = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (!leftOut(id)) length += this.offsets[id + 1]! - this.offsets[id]!;
    }
    const joined = new Uint8Array(length);
    let end = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (leftOut(id)) continue;
      for (let at = this.offsets[id]!; at < this.offsets[id + 1]!; at++) joined[end++] = this.bytes[at]!;
    }
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(joined);
  }
}
