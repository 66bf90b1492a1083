/**
 * The bytes of a file in pieces, unpacked where its name ends in `.gz` or `.zst`, so that memory does not hang on its size: not
 * even for a file made to unpack to a thousand times as much.
 * Limits: of zstd a window of at most 128 MiB, as its own tools take (looked at in the first frame), and no checksums.
 */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { fileError } from '../../base/index.ts';
import { zstdFrame } from '../zstd-frame.ts';
import { damaged, RowsError } from './rows-error.ts';

const READ_BYTES = 1 << 20;
/** Of packed zstd at a time: four bytes may be a block of 128 KiB. */
const ZSTD_STEP_BYTES = 1 << 10;
const MAX_WINDOW_BYTES = 1 << 27;

/** How a file is packed, by its name. */
export function packingOf(path: string): 'gz' | 'zst' | undefined {
  return /\.(gz|zst)$/i.exec(path)?.[1]?.toLowerCase() as 'gz' | 'zst' | undefined;
}

/**
 * @param onBytes is told of the bytes of the file itself as they are read
 * @throws RowsError `damaged`; file_missing and what else {@link fileError} knows
 */
export async function* unpackedPieces(
  path: string,
  onBytes?: (count: number) => void,
): AsyncGenerator<Uint8Array> {
  const packing = packingOf(path);
  const pieces = piecesOf(path, onBytes);
  try {
    if (packing === 'gz') yield* gunzip(pieces);
    else if (packing === 'zst') yield* unzstd(pieces);
    else yield* pieces;
  } catch (error) {
    if (error instanceof RowsError) throw error;
    throw (error as NodeJS.ErrnoException).syscall ? fileError(error, path) : damaged(error);
  }
}

async function* piecesOf(path: string, onBytes?: (count: number) => void): AsyncGenerator<Uint8Array> {
  for await (const piece of createReadStream(path, { highWaterMark: READ_BYTES })) {
    onBytes?.(piece.length);
    yield piece;
  }
}

async function* gunzip(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const plain = createGunzip({ chunkSize: 1 << 18 });
  // What fails on the way comes out of `plain`.
  pipeline(pieces, plain, () => undefined);
  yield* plain;
}

async function* unzstd(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  const decompress = new Decompress((piece) => ready.push(piece));
  let isBegun = false;
  for await (const piece of pieces) {
    if (!isBegun) requireWindow(piece);
    isBegun = true;
    for (let at = 0; at < piece.length; at += ZSTD_STEP_BYTES) {
      decompress.push(piece.subarray(at, at + ZSTD_STEP_BYTES));
      yield* ready;
      ready = [];
    }
  }
  decompress.push(new Uint8Array(0), true);
  yield* ready;
}

/** As much memory is taken as the first frame asks for, so that is looked at before. */
function requireWindow(head: Uint8Array): void {
  const { windowBytes = 0 } = zstdFrame(head) ?? {};
  if (windowBytes <= MAX_WINDOW_BYTES) return;
  const reason = `it needs a window of ${Math.ceil(windowBytes / 2 ** 20)} MiB, and at most ${MAX_WINDOW_BYTES / 2 ** 20} are given; pack it without --long`;
  throw new RowsError('damaged', reason);
}
