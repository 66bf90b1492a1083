/** Lines of a file, also of a compressed one, read piece by piece: memory is bounded by the longest line. */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { DabarexError } from '../../base/index.ts';

const MAX_LINE_BYTES = 1 << 27;
const NEWLINE = 10;

/**
 * The lines with their numbers from 1, without their ends; empty ones are left out.
 * @param onBytes is told of the bytes of the file as they are read
 * @throws documents_invalid for a line of more than 128 MiB or that is not UTF-8, and for damage to a compressed file
 */
export async function* readLines(
  path: string,
  onBytes: (count: number) => void,
): AsyncGenerator<{ number: number; text: string }> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  let number = 0;
  const text = (bytes: Uint8Array) => {
    try {
      return decoder.decode(bytes).replace(/\r$/, '');
    } catch {
      throw invalid(path, number, 'is not UTF-8');
    }
  };
  const joined = (last: Uint8Array) => {
    const bytes = rest.length === 0 ? last : Buffer.concat([...rest, last]);
    rest = [];
    restBytes = 0;
    return bytes;
  };
  for await (const chunk of chunksOf(path, onBytes)) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      number++;
      const line = text(joined(chunk.subarray(from, end)));
      if (line !== '') yield { number, text: line };
      from = end + 1;
    }
    if (from === chunk.length) continue;
    rest.push(chunk.slice(from));
    restBytes += chunk.length - from;
    if (restBytes > MAX_LINE_BYTES) throw invalid(path, number + 1, `has more than ${MAX_LINE_BYTES} bytes`);
  }
  number++;
  const last = text(joined(new Uint8Array(0)));
  if (last !== '') yield { number, text: last };
}

async function* chunksOf(path: string, onBytes: (count: number) => void): AsyncGenerator<Uint8Array> {
  const file = createReadStream(path, { highWaterMark: 1 << 20 });
  file.on('data', (chunk) => onBytes(chunk.length));
  file.pause();
  try {
    if (/\.zst$/i.test(path)) yield* unzstd(file);
    else if (/\.gz$/i.test(path)) yield* gunzip(file);
    else yield* file;
  } catch (error) {
    if (error instanceof DabarexError || (error as NodeJS.ErrnoException).syscall) throw error;
    const message = `${path} cannot be unpacked (${(error as Error).message}). Fetch it again.`;
    throw new DabarexError('documents_invalid', message, { path }, { cause: error });
  } finally {
    file.destroy();
  }
}

async function* gunzip(file: Readable): AsyncGenerator<Uint8Array> {
  const plain = createGunzip({ chunkSize: 1 << 18 });
  file.on('error', (error) => plain.destroy(error));
  yield* file.pipe(plain);
}

async function* unzstd(file: Readable): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  const decompress = new Decompress((chunk) => ready.push(chunk));
  for await (const chunk of file) {
    // In small pieces, so that little is unpacked at a time.
    for (let at = 0; at < chunk.length; at += 1 << 14) {
      decompress.push(chunk.subarray(at, at + (1 << 14)));
      yield* ready;
      ready = [];
    }
  }
  decompress.push(new Uint8Array(0), true);
  yield* ready;
}

function invalid(path: string, number: number, problem: string): DabarexError {
  const message = `${path}: line ${number} ${problem}. Mend the line or leave it out.`;
  return new DabarexError('documents_invalid', message, { path, line: number });
}
