/**
 * A file as blocks of whole lines, or of text cut at safe places, each in memory of its own, so that it can be given to a thread.
 * Only `\n` ends a line: JSON leaves U+2028 as it is. A line longer than a block makes a longer block. Where blocks end depends
 * on nothing but the file and the options; and a pass that begins where a block of an earlier one ended goes on with the same blocks. A file named `.gz` or `.zst` is unpacked as it is read.
 */
import { open } from 'node:fs/promises';
import { assert, DabarexError, fileError } from '../../base/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import { packingOf, unpackedPieces } from './unpacked.ts';

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
  /** where to begin, the start of a line; default 0, and that for a packed file */
  readonly startByte?: number;
  /** told of the bytes of the file as they are read */
  readonly onBytes?: (count: number) => void;
  readonly signal?: AbortSignal;
}

export interface LineBlock {
  /** whole lines; the last of the file may lack its `\n` */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** place of the first byte in the file, unpacked */
  readonly startByte: number;
}

/** How blocks are cut. */
export interface BlockCut {
  /** the end of the block within `bytes[from..to)`, 0 where none may be */
  readonly endOf: (bytes: Uint8Array, from: number, to: number) => number;
  /** a block never has more, @throws `tooLong` where it would */
  readonly maxBytes: number;
  readonly tooLong: (startByte: number) => Error;
}

/** @throws file_missing and what else is wrong with a file; text_invalid for a line of more than 256 MiB */
export function lineBlocks(path: string, options?: BlocksOptions): AsyncGenerator<LineBlock> {
  const tooLong = tooLongError(path, 'line', MAX_LINE_BYTES);
  return blocks(path, { endOf: lastLineEnd, maxBytes: MAX_LINE_BYTES, tooLong }, options);
}

/**
 * A text in blocks that end where `tokenizer` splits anyway.
 * @throws file_missing and what else is wrong with a file; text_invalid where 16 MiB hold no such place
 */
export function textBlocks(
  path: string,
  tokenizer: Pick<Tokenizer, 'safeCut'>,
  options?: BlocksOptions,
): AsyncGenerator<LineBlock> {
  const endOf = (bytes: Uint8Array, from: number, to: number): number => {
    // What stands at the end may be a part of a character, which looks like a place to cut before.
    const cut = tokenizer.safeCut(bytes.subarray(0, to), Math.max(from, to - CUT_WINDOW_BYTES, 1));
    return cut <= to - MAX_CHARACTER_BYTES ? cut : 0;
  };
  const tooLong = tooLongError(path, 'word without an end', MAX_PIECE_BYTES);
  return blocks(path, { endOf, maxBytes: MAX_PIECE_BYTES, tooLong }, options);
}

/** The file at `path` in blocks, in order. */
export async function* blocks(
  path: string,
  { endOf, maxBytes, tooLong }: BlockCut,
  { blockBytes = 1 << 20, startByte = 0, onBytes, signal }: BlocksOptions = {},
): AsyncGenerator<LineBlock> {
  const source = await openSource(path, startByte, onBytes);
  try {
    const place = { start: startByte, reach: reachFrom(startByte, blockBytes) };
    const sized = () => new Uint8Array(Math.min(place.reach - place.start, maxBytes));
    const read = withRest(source);
    let block = sized();
    let held = 0;
    let searched = 0;
    for (let ended = false; !ended; ) {
      signal?.throwIfAborted();
      while (held < block.length && !ended) {
        const count = await read.into(block.subarray(held));
        held += count;
        ended = count === 0;
      }
      const end = ended ? held : endOf(block, searched, held);
      if (end > 0) {
        const rest = block.slice(end, held);
        yield { bytes: end === block.length ? block : block.slice(0, end), startByte: place.start };
        place.start += end;
        place.reach = reachFrom(place.start, blockBytes);
        block = sized();
        held = Math.min(rest.length, block.length);
        block.set(rest.subarray(0, held));
        read.giveBack(rest.subarray(held));
        searched = held;
      } else if (!ended) {
        if (held >= maxBytes) throw tooLong(place.start);
        place.reach += blockBytes * Math.ceil(block.length / blockBytes);
        const grown = sized();
        grown.set(block);
        block = grown;
        searched = held;
      }
    }
  } finally {
    await source.close();
  }
}

/** Up to where a block that begins at `startByte` is looked for: the same after a pause as in one go. */
function reachFrom(startByte: number, blockBytes: number): number {
  return (Math.ceil(startByte / blockBytes) + 1) * blockBytes;
}

/** Bytes that were read too far come first again. */
function withRest(source: ByteSource) {
  let rest = new Uint8Array(0);
  return {
    async into(target: Uint8Array): Promise<number> {
      if (rest.length === 0) return source.read(target);
      const count = Math.min(rest.length, target.length);
      target.set(rest.subarray(0, count));
      rest = rest.slice(count);
      return count;
    },
    giveBack(bytes: Uint8Array): void {
      if (bytes.length > 0) rest = new Uint8Array(Buffer.concat([bytes, rest]));
    },
  };
}

/** Bytes in order. */
interface ByteSource {
  /** Fills `into` from its start; how many there were, 0 at the end. */
  read(into: Uint8Array): Promise<number>;
  close(): Promise<unknown>;
}

async function openSource(
  path: string,
  startByte: number,
  onBytes?: (count: number) => void,
): Promise<ByteSource> {
  if (packingOf(path)) {
    assert(startByte === 0, 'a packed file is read from its start');
    return new PieceSource(unpackedPieces(path, onBytes));
  }
  const file = await open(path).catch((cause) => {
    throw fileError(cause, path);
  });
  let position = startByte;
  return {
    async read(into) {
      const { bytesRead } = await file.read(into, 0, into.length, position).catch((cause) => {
        throw fileError(cause, path);
      });
      position += bytesRead;
      onBytes?.(bytesRead);
      return bytesRead;
    },
    close: () => file.close(),
  };
}

class PieceSource implements ByteSource {
  private readonly pieces: AsyncGenerator<Uint8Array>;
  private piece: Uint8Array = new Uint8Array(0);

  constructor(pieces: AsyncGenerator<Uint8Array>) {
    this.pieces = pieces;
  }

  async read(into: Uint8Array): Promise<number> {
    while (this.piece.length === 0) {
      const { done, value } = await this.pieces.next();
      if (done) return 0;
      this.piece = value;
    }
    const part = this.piece.subarray(0, into.length);
    into.set(part);
    this.piece = this.piece.subarray(part.length);
    return part.length;
  }

  close(): Promise<unknown> {
    return this.pieces.return(undefined);
  }
}

/** One after the last `\n` in `bytes[from..to)`, or 0. */
export function lastLineEnd(bytes: Uint8Array, from: number, to: number): number {
  const at = to > from ? bytes.lastIndexOf(10, to - 1) : -1;
  return at >= from ? at + 1 : 0;
}

function tooLongError(path: string, what: string, maxBytes: number): (startByte: number) => DabarexError {
  return (startByte) =>
    new DabarexError(
      'text_invalid',
      `${path}: at byte ${startByte} begins a ${what} of more than ${maxBytes / 2 ** 20} MiB. Is it text, and of the format that was named? Break it up.`,
      { path, startByte },
    );
}
