/**
 * Words as hashes, fast: runs of letters, marks and digits in lower case, and each character of scripts written without spaces (Han, kana) as a
 * word of its own. One pass over the UTF-16 units with tables; nothing is allocated per word. Punctuation, case and
 * white space make no difference, which is what comparing texts wants.
 * Limits: 32-bit hashes; lower case unit by unit (`ß` stays); Thai and its like come as one long word.
 */

const SEPARATOR = 0;
const LETTER = 1;
const ALONE = 2;

export class WordScanner {
  private readonly kinds = new Uint8Array(65536);
  private readonly lower = new Uint16Array(65536);
  /** of the words of the last text; the entries from `scan`'s result on are stale */
  hashes = new Uint32Array(1024);
  /** where each word ends, in UTF-16 units */
  ends = new Uint32Array(1024);
  starts = new Uint32Array(1024);

  constructor() {
    for (let unit = 0; unit < 65536; unit++) {
      const character = String.fromCharCode(unit);
      const isSurrogate = unit >= 0xd800 && unit < 0xe000;
      this.kinds[unit] = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(character)
        ? ALONE
        : isSurrogate || /[\p{L}\p{M}\p{N}]/u.test(character)
          ? LETTER
          : SEPARATOR;
      const lower = isSurrogate ? character : character.toLowerCase();
      this.lower[unit] = lower.length === 1 ? lower.charCodeAt(0) : unit;
    }
  }

  /** Fills `hashes`, `starts` and `ends` with the words of `text`. @returns how many there are */
  scan(text: string): number {
    const { kinds, lower } = this;
    let count = 0;
    for (let i = 0; i < text.length; ) {
      const kind = kinds[text.charCodeAt(i)]!;
      if (kind === SEPARATOR) {
        i++;
        continue;
      }
      if (count === this.hashes.length) this.grow();
      const start = i;
      let hash = 0x811c9dc5;
      do {
        hash = Math.imul(hash ^ lower[text.charCodeAt(i)]!, 0x01000193);
        i++;
      } while (kind === LETTER && i < text.length && kinds[text.charCodeAt(i)] === LETTER);
      this.hashes[count] = mixed(hash);
      this.starts[count] = start;
      this.ends[count++] = i;
    }
    return count;
  }

  private grow(): void {
    for (const name of ['hashes', 'starts', 'ends'] as const) {
      const larger = new Uint32Array(this[name].length * 2);
      larger.set(this[name]);
      this[name] = larger;
    }
  }
}

/** The finalizer of MurmurHash3 (Appleby): every bit of the result hangs on every bit of `x`. */
export function mixed(x: number): number {
  x ^= x >>> 16;
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/**
 * The hash of the `size` words from `start` on, in their order; with another `seed`, an independent one.
 */
export function gramHash(words: Uint32Array, start: number, size: number, seed = 0): number {
  let hash = seed ^ size;
  for (let i = start; i < start + size; i++) {
    hash = Math.imul(((hash << 5) | (hash >>> 27)) ^ words[i]!, 0x9e3779b1);
  }
  return mixed(hash);
}
