/** A file opened to read parts of it: its size is known, so what a header promises can be held against it first. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { DabarexError } from '../base/index.ts';

/** What to throw where the file ends before it should. */
export type Invalid = (path: string, problem: string) => DabarexError;

export class ByteFile {
  readonly path: string;
  readonly sizeBytes: number;
  private readonly handle: number;
  private readonly invalid: Invalid;
  private isOpen = true;

  /** @throws file_missing where it cannot be opened */
  constructor(path: string, invalid: Invalid) {
    this.path = path;
    this.invalid = invalid;
    try {
      this.handle = openSync(path, 'r');
    } catch (cause) {
      throw missing(path, (cause as NodeJS.ErrnoException).code ?? 'unreadable', cause);
    }
    const stats = fstatSync(this.handle);
    this.sizeBytes = stats.size;
    if (stats.isFile()) return;
    this.close();
    throw missing(path, 'no file', undefined);
  }

  /** Bytes `start` to `start + length`, in memory of their own. */
  read(start: number, length: number): Uint8Array<ArrayBuffer> {
    // Before memory is taken for them.
    if (start + length > this.sizeBytes) throw this.shortened(this.sizeBytes);
    const bytes = new Uint8Array(length);
    this.readInto(bytes, start);
    return bytes;
  }

  /** Fills `target` with the bytes from `start` on. */
  readInto(target: Uint8Array, start: number): void {
    for (let filled = 0; filled < target.byteLength; ) {
      const wanted = Math.min(target.byteLength - filled, 1 << 30);
      const count = readSync(this.handle, target, filled, wanted, start + filled);
      if (count === 0) throw this.shortened(start + filled);
      filled += count;
    }
  }

  /** May be called again. */
  close(): void {
    if (this.isOpen) closeSync(this.handle);
    this.isOpen = false;
  }

  private shortened(end: number): DabarexError {
    return this.invalid(this.path, `it ends at byte ${end} while it is read`);
  }
}

/** A range within `count` rows, the end excluded, as callers must give it. @throws RangeError */
export function requireRows(name: string, startRow: number, endRow: number, count: number): void {
  const whole = Number.isInteger(startRow) && Number.isInteger(endRow);
  if (whole && 0 <= startRow && startRow <= endRow && endRow <= count) return;
  throw new RangeError(`rows ${startRow} to ${endRow} of "${name}", which has ${count}`);
}

function missing(path: string, reason: string, cause: unknown): DabarexError {
  return new DabarexError(
    'file_missing',
    `${path} cannot be opened (${reason}). Check the path.`,
    { path },
    { cause },
  );
}
