/**
 * Reads a GGUF header front to back without knowing how long it is: memory grows with what is read, never beyond the file
 * or {@link MAX_HEADER_BYTES}, and every length is held against both before it is believed.
 */
import type { ByteFile } from '../byte-file.ts';
import { ggufInvalid } from './values.ts';

/** A vocabulary of 262,144 tokens with merges takes about 15 MB. */
export const MAX_HEADER_BYTES = 100_000_000;
const FIRST_BYTES = 1 << 20;

export class HeaderCursor {
  position = 0;
  private readonly file: ByteFile;
  private held: Buffer = Buffer.alloc(0);

  constructor(file: ByteFile) {
    this.file = file;
  }

  get path(): string {
    return this.file.path;
  }

  u8(): number {
    const at = this.advance(1);
    return this.held.readUInt8(at);
  }

  u32(): number {
    const at = this.advance(4);
    return this.held.readUInt32LE(at);
  }

  /** A u64 or i64 that counts something. @throws gguf_invalid beyond 2^53 - 1 or negative */
  count(what: string): number {
    const at = this.advance(8);
    const value = this.held.readUInt32LE(at) + this.held.readUInt32LE(at + 4) * 2 ** 32;
    if (Number.isSafeInteger(value)) return value;
    throw ggufInvalid(this.path, `${what} is ${this.held.readBigInt64LE(at)}`);
  }

  /** A count of things that take at least `leastBytes` each in what is left of the header. */
  countOf(what: string, leastBytes: number): number {
    const count = this.count(what);
    this.require(count * leastBytes, `${what} is ${count}`);
    return count;
  }

  /** A view, valid for as long as nobody writes to it. */
  bytes(length: number, what: string): Buffer {
    this.require(length, `${what} has ${length} bytes`);
    const at = this.advance(length);
    return this.held.subarray(at, at + length);
  }

  /** A copy of all that was read from `first` on. */
  since(first: number): Buffer {
    return Buffer.from(this.held.subarray(first, this.position));
  }

  /** A string that is a key or a name: at most `most` bytes of valid UTF-8. */
  name(what: string, most: number): string {
    const length = this.count(`the length of ${what}`);
    if (length > most) throw ggufInvalid(this.path, `${what} has ${length} bytes, more than ${most}`);
    const bytes = this.bytes(length, what);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw ggufInvalid(this.path, `${what} is no UTF-8 (${bytes.toString('hex')})`);
    }
  }

  private require(length: number, claim: string): void {
    const end = this.position + length;
    if (end > this.file.sizeBytes) {
      throw ggufInvalid(
        this.path,
        `at byte ${this.position} ${claim}, but the file ends at ${this.file.sizeBytes}`,
      );
    }
    if (end > MAX_HEADER_BYTES) {
      throw ggufInvalid(
        this.path,
        `at byte ${this.position} ${claim}, but a header may have ${MAX_HEADER_BYTES}`,
      );
    }
  }

  /** @returns where the bytes lie in `held` */
  private advance(length: number): number {
    const start = this.position;
    this.position += length;
    if (this.position > this.held.length) this.grow(start, length);
    return start;
  }

  private grow(start: number, length: number): void {
    this.position = start;
    this.require(length, `its header goes on for ${length} bytes`);
    this.position = start + length;
    const wanted = Math.max(this.position, 2 * this.held.length, FIRST_BYTES);
    const grown = Buffer.alloc(Math.min(wanted, this.file.sizeBytes, MAX_HEADER_BYTES));
    grown.set(this.held);
    this.file.readInto(grown.subarray(this.held.length), this.held.length);
    this.held = grown;
  }
}
