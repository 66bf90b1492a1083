/** Lines: of a block of bytes, and of a file one by one, packed or not, each bounded, so that an untrusted file cannot fill memory. */
import { blocks, lastLineEnd } from './blocks.ts';
import { RowsError } from './rows-error.ts';

const NEWLINE = 10;
const RETURN = 13;

/** Where a line stands in a block. */
export interface LinePlace {
  readonly start: number;
  /** behind its last byte; there stands its `\n`, but perhaps not at the end of the block */
  readonly end: number;
  /** where the next begins */
  readonly next: number;
}

/** The lines in `bytes` from `from` on, empty ones too. */
export function* linesIn(bytes: Uint8Array, from = 0): Generator<LinePlace> {
  for (let start = from; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    const next = newline < 0 ? end : end + 1;
    yield { start, end, next };
    start = next;
  }
}

/** The length of a byte order mark at the start. */
export function markBytes(bytes: Uint8Array): number {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
}

export interface Line {
  /** in the file, from 1 */
  readonly number: number;
  /** without its `\n` */
  readonly bytes: Buffer;
}

export interface LinesOptions {
  /** default 128 MiB */
  readonly maxLineBytes?: number;
  /** told of the bytes of the file as they are read */
  readonly onBytes?: (count: number) => void;
}

/**
 * The lines of a file, without those that hold nothing and without a byte order mark at its start.
 * @throws RowsError `line_too_long`, or `damaged` for a packed file; file_missing and what else is wrong with a file
 */
export async function* readLines(
  path: string,
  { maxLineBytes = 1 << 27, onBytes }: LinesOptions = {},
): AsyncGenerator<Line> {
  let number = 0;
  const tooLong = () =>
    new RowsError('line_too_long', `it is longer than ${maxLineBytes / 2 ** 20} MiB`, { line: number + 1 });
  const cut = { endOf: lastLineEnd, maxBytes: maxLineBytes, tooLong };
  for await (const { bytes, startByte } of blocks(path, cut, { onBytes })) {
    for (const { start, end } of linesIn(bytes, startByte === 0 ? markBytes(bytes) : 0)) {
      number++;
      const isEmpty = end === start || (end === start + 1 && bytes[start] === RETURN);
      if (!isEmpty) yield { number, bytes: Buffer.from(bytes.buffer, start, end - start) };
    }
  }
}
