/** A text as UTF-8 in memory that is used again, with a few bytes more at its end, so that whole words are read at any place. */
const PADDING_BYTES = 16;
const SPACE = 0x20;
/** Memory beyond this is given back after a text. */
const MAX_KEPT_BYTES = 1 << 22;

export class Utf8Text {
  /** the text is `bytes[0..length)` */
  bytes = new Uint8Array(1 << 12);
  view = new DataView(this.bytes.buffer);
  length = 0;
  private readonly encoder = new TextEncoder();

  /** Takes a copy of `text`, with `spaces` before it. A lone surrogate becomes U+FFFD; bytes are taken as they are. */
  set(text: string | Uint8Array, spaces = 0): void {
    if (typeof text !== 'string') {
      this.reserve(text.length + spaces);
      this.bytes.fill(SPACE, 0, spaces).set(text, spaces);
      this.length = text.length + spaces;
      return;
    }
    // Three bytes a UTF-16 unit are enough; a long text is measured rather than given thrice its size.
    const longest = text.length * 3;
    this.reserve(spaces + (longest <= 1 << 16 ? longest : Buffer.byteLength(text)));
    this.bytes.fill(SPACE, 0, spaces);
    this.length = spaces + this.encoder.encodeInto(text, this.bytes.subarray(spaces)).written;
  }

  /** Gives the memory of a long text back. */
  shrink(): void {
    if (this.bytes.length > MAX_KEPT_BYTES) this.allocate(1 << 12);
  }

  private reserve(length: number): void {
    if (length + PADDING_BYTES > this.bytes.length) this.allocate(length + (length >> 2) + PADDING_BYTES);
  }

  private allocate(length: number): void {
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
  }
}

/** The start of the first character at or after `from`, at most the length. */
export function characterStart(bytes: Uint8Array, from: number): number {
  let at = Math.min(from, bytes.length);
  while (at < bytes.length && (bytes[at]! & 0xc0) === 0x80) at++;
  return at;
}
