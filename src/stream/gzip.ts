/**
 * gzip as `gzip.compress(data, level, mtime=...)` of Python 3 writes it, to the byte. pako is zlib in JavaScript; Node's own zlib finds
 * other matches. @see RFC 1952
 */
import { gzip } from 'pako';

const BEST = 9;
const FASTEST = 1;
const UNKNOWN_SYSTEM = 255;

/** @param timeSeconds the time in the header, seconds since 1970 */
export function gzipAsPython(bytes: Uint8Array, level: number, timeSeconds: number): Uint8Array {
  const packed = gzip(bytes, { level: level as 9 });
  new DataView(packed.buffer, packed.byteOffset).setUint32(4, timeSeconds, true);
  packed[8] = level === BEST ? 2 : level === FASTEST ? 4 : 0;
  packed[9] = UNKNOWN_SYSTEM;
  return packed;
}
