/**
 * GPT-2's byte alphabet: every byte as one printable character, so that a token of any bytes is a string in
 * tokenizer.json. The 188 printable Latin-1 characters stand for themselves, the other bytes for U+0100 onwards
 * (a space is "Ġ"). The same order numbers the byte tokens 0..255 in GPT-2, cl100k_base and the vocabularies trained here.
 * Source: openai/gpt-2 encoder.py, bytes_to_unicode.
 */

/** The bytes in the order of their token ids. */
export const BYTES_IN_ID_ORDER: readonly number[] = bytesInIdOrder();

const CHAR_OF_BYTE: readonly string[] = charOfByte();
const BYTE_OF_CHAR: ReadonlyMap<string, number> = new Map(CHAR_OF_BYTE.map((char, byte) => [char, byte]));

/** The bytes written in the byte alphabet. */
export function bytesToAlphabet(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += CHAR_OF_BYTE[byte];
  return text;
}

/** The bytes that `text` of the byte alphabet stands for; undefined where a character is not of the alphabet. */
export function alphabetToBytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const byte = BYTE_OF_CHAR.get(text[i]!);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

function bytesInIdOrder(): number[] {
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  return [...all.filter(isPrintable), ...all.filter((byte) => !isPrintable(byte))];
}

function charOfByte(): string[] {
  const chars: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    chars.push(String.fromCharCode(isPrintable(byte) ? byte : next++));
  }
  return chars;
}
