/**
 * The classes of characters that split patterns tell apart, for text in UTF-8. ASCII is a constant table; other code points
 * are asked of the engine's Unicode tables when they first occur, and remembered.
 *
 * `\s` of the original engines is Unicode's White_Space, which differs from JavaScript's `\s` in U+0085 and U+FEFF.
 */
export const OTHER = 1;
export const LETTER = 2;
export const NUMBER = 3;
/** white space but CR and LF */
export const SPACE = 4;
/** CR and LF */
export const NEWLINE = 5;
/** in {@link BYTE_CLASSES}: a byte of a longer sequence, whose code point decides */
export const MULTI = 6;
/** no character: the end of the text */
export const NONE = 0;

/** The class of each byte that is a character, and {@link MULTI}. */
export const BYTE_CLASSES: Readonly<Uint8Array> = byteClasses();

const REPLACEMENT = 0xfffd;
const MAX_CODE_POINT = 0x10ffff;

/** What `CharClasses.at` packs into one number: `(class << 3) | bytes`. */
export const WIDTH_MASK = 7;
export const CLASS_SHIFT = 3;

/** Classes of code points, each found out once. */
export class CharClasses {
  /** 0 where not known yet; the pages of scripts that never occur take no memory */
  private readonly known = new Uint8Array(MAX_CODE_POINT + 1);

  /**
   * Class and width of the character at `at`: `(class << CLASS_SHIFT) | bytes`. A sequence that is cut off or wrong is
   * {@link OTHER}, byte by byte, so any bytes are passed in finite steps.
   */
  at(bytes: Uint8Array, at: number, end: number): number {
    const lead = bytes[at]!;
    if (lead < 0x80) return (BYTE_CLASSES[lead]! << CLASS_SHIFT) | 1;
    let width = 1;
    let codePoint = REPLACEMENT;
    if (lead >= 0xf0 && at + 3 < end) {
      width = 4;
      codePoint =
        ((lead & 7) << 18) |
        ((bytes[at + 1]! & 63) << 12) |
        ((bytes[at + 2]! & 63) << 6) |
        (bytes[at + 3]! & 63);
      if (codePoint > MAX_CODE_POINT) codePoint = REPLACEMENT;
    } else if (lead >= 0xe0 && lead < 0xf0 && at + 2 < end) {
      width = 3;
      codePoint = ((lead & 15) << 12) | ((bytes[at + 1]! & 63) << 6) | (bytes[at + 2]! & 63);
    } else if (lead >= 0xc0 && lead < 0xe0 && at + 1 < end) {
      width = 2;
      codePoint = ((lead & 31) << 6) | (bytes[at + 1]! & 63);
    }
    return (this.of(codePoint) << CLASS_SHIFT) | width;
  }

  private of(codePoint: number): number {
    const known = this.known[codePoint]!;
    return known === NONE ? this.learn(codePoint) : known;
  }

  private learn(codePoint: number): number {
    const kind = classOf(String.fromCodePoint(codePoint));
    this.known[codePoint] = kind;
    return kind;
  }
}

/** The class of one character by its Unicode properties; a lone surrogate is {@link OTHER}. */
export function classOf(char: string): number {
  if (/^\p{L}/u.test(char)) return LETTER;
  if (/^\p{N}/u.test(char)) return NUMBER;
  if (/^[\r\n]/.test(char)) return NEWLINE;
  return /^\p{White_Space}/u.test(char) ? SPACE : OTHER;
}

function byteClasses(): Uint8Array {
  const classes = new Uint8Array(256).fill(MULTI);
  for (let byte = 0; byte < 0x80; byte++) classes[byte] = classOf(String.fromCharCode(byte));
  return classes;
}
