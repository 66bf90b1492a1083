/** Bytes to text: UTF-8 where it is valid, else Latin-1; one kind of newline; no control characters. */

export interface Decoded {
  readonly text: string;
  readonly encoding: 'utf-8' | 'latin1';
}

/** The text of `bytes` with `\n` newlines, without a byte order mark and without controls but tab and newline. */
export function decodeText(bytes: Uint8Array): Decoded {
  let text: string;
  let encoding: Decoded['encoding'] = 'utf-8';
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    encoding = 'latin1';
  }
  return { text: plainText(text), encoding };
}

/** `text` with `\n` newlines and without controls but tab and newline. */
export function plainText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what is dropped
  const controls = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;
  return text.replace(/\r\n?/g, '\n').replace(controls, '');
}
