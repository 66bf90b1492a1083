/** Where a string stands in a line of JSON, so that a part of a long one can be read alone. */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The range of bytes between the quotes of the string under `field` in the object on `bytes[start..end)`; of several the last, as
 * JSON.parse takes it. The line must be a valid object whose `field` is a string.
 */
export function textLiteral(
  bytes: Uint8Array,
  start: number,
  end: number,
  field: string,
): [from: number, to: number] {
  let depth = 0;
  let isKey = false;
  let key: string | undefined;
  let found: [number, number] = [start, start];
  for (let at = start; at < end; at++) {
    switch (bytes[at]) {
      case QUOTE: {
        const from = at + 1;
        at = stringEnd(bytes, from, end);
        if (depth !== 1) break;
        if (isKey) key = JSON.parse(Buffer.from(bytes.subarray(from - 1, at + 1)).toString('utf8')) as string;
        else if (key === field) found = [from, at];
        isKey = false;
        break;
      }
      case 0x7b: // {
      case 0x5b: // [
        depth++;
        isKey = depth === 1;
        break;
      case 0x7d: // }
      case 0x5d: // ]
        depth--;
        break;
      case 0x2c: // ,
        isKey = depth === 1;
        break;
    }
  }
  return found;
}

/** Where the quote stands that ends the string whose first byte is at `from`. */
function stringEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}
