/** A growing array of token ids, so that many texts are encoded into one without an array each. */
const MAX_KEPT_IDS = 1 << 20;

export class TokenBuffer {
  /** the ids are those before `length`; replaced when it grows */
  ids: Int32Array;
  length = 0;

  constructor(capacity = 1024) {
    this.ids = new Int32Array(capacity);
  }

  push(id: number): void {
    if (this.length === this.ids.length) this.reserve(1);
    this.ids[this.length++] = id;
  }

  /** Makes room for `more` ids after those there are. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.ids.length) return;
    const grown = new Int32Array(Math.max(needed, Math.ceil(this.ids.length * 1.5)));
    grown.set(this.ids.subarray(0, this.length));
    this.ids = grown;
  }

  /** The ids from `start` on, in memory of their own. */
  slice(start = 0): Int32Array {
    return this.ids.slice(start, this.length);
  }

  /** Forgets the ids and keeps the memory. */
  clear(): void {
    this.length = 0;
  }

  /** Gives much memory back. */
  shrink(): void {
    if (this.ids.length > MAX_KEPT_IDS) this.ids = new Int32Array(1024);
  }
}
