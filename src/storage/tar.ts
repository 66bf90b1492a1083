/**
 * Reading .tar and .tar.gz in memory, entry by entry: ustar with the pax (`path`, `size`) and GNU (`L`) long names that npm's and
 * GNU's writers use. Names are data: nothing is written to disk by them, and a name that climbs out (`..`, absolute)
 * is refused. Every length is checked before use. Links, devices and sparse files are skipped.
 */
import { createGunzip } from 'node:zlib';
import { DabarexError } from '../base/index.ts';

const BLOCK = 512;
/** No text source has a larger single file, none larger becomes one string in Node 20; a header that claims one is damaged or hostile. */
export const MAX_ENTRY_BYTES = 0x1fffffe8;

export interface SourceFile {
  /** `/`-separated, relative */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * The regular files of a tar archive, gzipped or not, whose path passes `wanted`, in the archive's order.
 * @param where the source's name for messages
 * @throws source_corrupt for a cut or damaged archive, or a name that leaves the archive
 */
export async function* readTar(
  archive: Uint8Array,
  wanted: (path: string) => boolean,
  where: string,
): AsyncGenerator<SourceFile> {
  const blocks = new ByteReader(inflated(archive), where);
  let longPath: string | undefined;
  let longSize: number | undefined;
  for (;;) {
    const header = await blocks.take(BLOCK);
    if (header.every((byte) => byte === 0)) break;
    checkHeader(header, where);
    const type = String.fromCharCode(header[156]!);
    const size = longSize ?? octal(header, 124, 12, where);
    if (size > MAX_ENTRY_BYTES) throw corrupt(where, `an entry claims ${size} bytes`);
    const padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (type === 'x' || type === 'L') {
      const body = (await blocks.take(size + padding)).subarray(0, size);
      const pax = type === 'x' ? paxRecords(body, where) : { path: text(body, 0, size) };
      longPath = pax.path ?? longPath;
      longSize = pax.size === undefined ? longSize : Number(pax.size);
      if (longSize !== undefined && !Number.isSafeInteger(longSize)) throw corrupt(where, 'a bad pax size');
      continue;
    }
    const path = safePath(longPath ?? headerPath(header), where);
    longPath = undefined;
    longSize = undefined;
    const isFile = type === '0' || type === '\0' || type === '7';
    if (isFile && wanted(path)) yield { path, bytes: (await blocks.take(size + padding)).subarray(0, size) };
    else await blocks.skip(size + padding);
  }
}

async function* inflated(archive: Uint8Array): AsyncGenerator<Uint8Array> {
  if (archive[0] !== 0x1f || archive[1] !== 0x8b) {
    yield archive;
    return;
  }
  const gunzip = createGunzip({ chunkSize: 1 << 18 });
  gunzip.end(archive);
  yield* gunzip as AsyncIterable<Uint8Array>;
}

/** Exact counts of bytes out of chunks of any size. */
class ByteReader {
  private readonly chunks: AsyncIterator<Uint8Array>;
  private readonly where: string;
  private current: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>, where: string) {
    this.chunks = chunks[Symbol.asyncIterator]();
    this.where = where;
  }

  /** A copy of the next `count` bytes. */
  async take(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    await this.advance(count, (part) => parts.push(part));
    return Buffer.concat(parts, count);
  }

  async skip(count: number): Promise<void> {
    await this.advance(count, () => {});
  }

  private async advance(count: number, use: (part: Uint8Array) => void): Promise<void> {
    let missing = count;
    while (missing > 0) {
      if (this.current.length === 0) this.current = await this.next(missing);
      const part = this.current.subarray(0, missing);
      use(part);
      this.current = this.current.subarray(part.length);
      missing -= part.length;
    }
  }

  private async next(missing: number): Promise<Uint8Array> {
    let result: IteratorResult<Uint8Array>;
    try {
      result = await this.chunks.next();
    } catch (error) {
      throw corrupt(this.where, (error as Error).message);
    }
    if (result.done) throw corrupt(this.where, `it ends ${missing} bytes too early`);
    return result.value;
  }
}

function checkHeader(header: Uint8Array, where: string): void {
  const stored = octal(header, 148, 8, where);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : header[i]!;
  if (sum !== stored) throw corrupt(where, `a header's checksum is ${sum}, it says ${stored}`);
}

function octal(header: Uint8Array, offset: number, length: number, where: string): number {
  const digits = text(header, offset, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw corrupt(where, 'a header holds a number that is not octal');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function headerPath(header: Uint8Array): string {
  const isUstar = text(header, 257, 5) === 'ustar';
  const prefix = isUstar && header[263] === 0x30 ? text(header, 345, 155) : '';
  return prefix ? `${prefix}/${text(header, 0, 100)}` : text(header, 0, 100);
}

function text(bytes: Uint8Array, offset: number, length: number): string {
  const field = bytes.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString('utf8');
}

function paxRecords(body: Uint8Array, where: string): Record<string, string> {
  const records: Record<string, string> = {};
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const length = Number(text(body, at, Math.max(space - at, 0)));
    if (space < 0 || !Number.isInteger(length) || length <= space - at || at + length > body.length)
      throw corrupt(where, 'a damaged pax record');
    const [, key, value] = /^([^=]*)=(.*)\n$/s.exec(text(body, space + 1, at + length - space - 1)) ?? [];
    if (key === undefined) throw corrupt(where, 'a damaged pax record');
    records[key] = value!;
    at += length;
  }
  return records;
}

function safePath(path: string, where: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (path.startsWith('/') || parts.includes('..'))
    throw corrupt(where, `the name "${path}" leaves the archive`);
  return parts.join('/');
}

function corrupt(where: string, why: string): DabarexError {
  return new DabarexError(
    'source_corrupt',
    `${where}: the archive cannot be read: ${why}. Fetch or copy it again.`,
    { where, why },
  );
}
