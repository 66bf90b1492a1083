/**
 * A file as blocks of whole lines, or of text cut at safe places, each in memory of its own, so that it can be given to a thread.
 * Only `\n` ends a line: JSON leaves U+2028 as it is. A line longer than a block makes a longer block. Where blocks end depends
 * on nothing but the file and the options; and a pass that begins where a block of an earlier one ended goes on with the same blocks.
 */
import { open } from 'node:fs/promises';
import { DabarexError } from '../base/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';

/** A longer line could not be one string either. */
const MAX_LINE_BYTES = 1 << 28;
/** Where a text nowhere splits it is one piece, and merging that takes long. */
const MAX_PIECE_BYTES = 1 << 24;
/** Bytes at the end of a text's block in which it is cut. */
const CUT_WINDOW_BYTES = 1 << 12;
const MAX_CHARACTER_BYTES = 4;

export interface BlocksOptions {
  /** bytes of a block, roughly; default 1 MiB */
  readonly blockBytes?: number;
  /** where to begin, the start of a line; default 0 */
  readonly startByte?: number;
  readonly signal?: AbortSignal;
}

export interface LineBlock {
  /** whole lines; the last of the file may lack its `\n` */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** place of the first byte in the file */
  readonly startByte: number;
}

/** @throws file_missing; text_invalid for a line of more than 256 MiB */
export function lineBlocks(path: string, options?: BlocksOptions): AsyncGenerator<LineBlock> {
  return blocks(path, lastLineEnd, MAX_LINE_BYTES, options);
}

/**
 * A text in blocks that end where `tokenizer` splits anyway.
 * @throws file_missing; text_invalid where 16 MiB hold no such place
 */
export function textBlocks(
  path: string,
  tokenizer: Pick<Tokenizer, 'safeCut'>,
  options?: BlocksOptions,
): AsyncGenerator<LineBlock> {
  const blockEnd = (bytes: Uint8Array, from: number, to: number): number => {
    // What stands at the end may be a part of a character, which looks like a place to cut before.
    const cut = tokenizer.safeCut(bytes.subarray(0, to), Math.max(from, to - CUT_WINDOW_BYTES, 1));
    return cut <= to - MAX_CHARACTER_BYTES ? cut : 0;
  };
  return blocks(path, blockEnd, MAX_PIECE_BYTES, options);
}

async function* blocks(
  path: string,
  blockEnd: (bytes: Uint8Array, from: number, to: number) => number,
  maxBytes: number,
  { blockBytes = 1 << 20, startByte = 0, signal }: BlocksOptions = {},
): AsyncGenerator<LineBlock> {
  const file = await open(path).catch((cause) => {
    throw new DabarexError('file_missing', `${path} cannot be read. Check the path.`, { path }, { cause });
  });
  try {
    const place = { start: startByte, reach: reachFrom(startByte, blockBytes) };
    let block = new Uint8Array(place.reach - place.start);
    let held = 0;
    let searched = 0;
    for (let ended = false; !ended; ) {
      signal?.throwIfAborted();
      while (held < block.length && !ended) {
        const { bytesRead } = await file.read(block, held, block.length - held, place.start + held);
        held += bytesRead;
        ended = bytesRead === 0;
      }
      const end = ended ? held : blockEnd(block, searched, held);
      if (end > 0) {
        yield { bytes: end === block.length ? block : block.slice(0, end), startByte: place.start };
        place.start += end;
        place.reach = reachFrom(place.start, blockBytes);
        const rest = block.subarray(end, Math.min(held, end + place.reach - place.start));
        block = new Uint8Array(place.reach - place.start);
        block.set(rest);
        held = rest.length;
        searched = held;
      } else if (!ended) {
        if (held >= maxBytes) throw tooLong(path, place.start, maxBytes);
        place.reach += blockBytes * Math.ceil(block.length / blockBytes);
        const grown = new Uint8Array(place.reach - place.start);
        grown.set(block);
        block = grown;
        searched = held;
      }
    }
  } finally {
    await file.close();
  }
}

/** Up to where a block that begins at `startByte` is looked for: the same after a pause as in one go. */
function reachFrom(startByte: number, blockBytes: number): number {
  return (Math.ceil(startByte / blockBytes) + 1) * blockBytes;
}

/** One after the last `\n` in `bytes[from..to)`, or 0. */
function lastLineEnd(bytes: Uint8Array, from: number, to: number): number {
  const at = to > from ? bytes.lastIndexOf(10, to - 1) : -1;
  return at >= from ? at + 1 : 0;
}

function tooLong(path: string, startByte: number, maxBytes: number): DabarexError {
  const what = maxBytes === MAX_LINE_BYTES ? 'line' : 'word without an end';
  return new DabarexError(
    'text_invalid',
    `${path}: at byte ${startByte} begins a ${what} of more than ${maxBytes / 2 ** 20} MiB. Is it text, and of the format that was named? Break it up.`,
    { path, startByte },
  );
}
