/**
 * Named typed arrays in one block of bytes, as parts and summaries of surveys are kept: a line of JSON, then the arrays, each at a multiple of
 * eight bytes. A file of it is read column by column, in ranges, so that a merge need not hold whole parts.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { DabarexError } from '../../base/index.ts';

const MAGIC = 'dabarex columns 1 ';
const TYPES = { u8: Uint8Array, u32: Uint32Array, i32: Int32Array, f32: Float32Array, f64: Float64Array };
type Column = Uint8Array | Uint32Array | Int32Array | Float32Array | Float64Array;
export type Columns = Record<string, Column>;
type Meta = Readonly<Record<string, number | string>>;

interface Header {
  readonly meta: Meta;
  readonly columns: Readonly<Record<string, { type: keyof typeof TYPES; offset: number; length: number }>>;
}

export function packColumns(columns: Columns, meta: Meta = {}): Uint8Array {
  let offset = 0;
  const described: Record<string, Header['columns'][string]> = {};
  for (const [name, column] of Object.entries(columns)) {
    const type = (Object.keys(TYPES) as (keyof typeof TYPES)[]).find(
      (each) => column instanceof TYPES[each],
    )!;
    described[name] = { type, offset, length: column.length };
    offset = aligned(offset + column.byteLength);
  }
  const header = `${MAGIC}${JSON.stringify({ meta, columns: described })}`;
  const start = aligned(Buffer.byteLength(header) + 1);
  const bytes = new Uint8Array(start + offset);
  bytes.fill(32, 0, start - 1);
  Buffer.from(bytes.buffer).write(header);
  bytes[start - 1] = 10;
  for (const [name, column] of Object.entries(columns)) {
    const raw = new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
    bytes.set(raw, start + described[name]!.offset);
  }
  return bytes;
}

/** The arrays of `bytes`, without a copy where their place in memory allows. @throws documents_invalid */
export function unpackColumns(bytes: Uint8Array, where = 'a summary'): { columns: Columns; meta: Meta } {
  const end = bytes.indexOf(10);
  const { meta, columns } = parseHeader(end < 0 ? '' : Buffer.from(bytes.subarray(0, end)).toString(), where);
  const entries = Object.entries(columns).map(([name, { type, offset, length }]): [string, Column] => {
    const Type = TYPES[type];
    const start = end + 1 + offset;
    if (start + length * Type.BYTES_PER_ELEMENT > bytes.length) throw damaged(where);
    const raw = bytes.subarray(start, start + length * Type.BYTES_PER_ELEMENT);
    const placed = raw.byteOffset % 8 === 0 ? raw : raw.slice();
    return [name, new Type(placed.buffer as ArrayBuffer, placed.byteOffset, length)];
  });
  return { columns: Object.fromEntries(entries), meta };
}

/** A file of columns, read in ranges. @throws documents_invalid where it is not whole */
export class ColumnFile {
  readonly meta: Meta;
  private readonly columns: Header['columns'];
  private readonly start: number;
  private readonly file: number;
  private readonly path: string;

  constructor(path: string) {
    this.path = path;
    this.file = openSync(path, 'r');
    try {
      const sizeBytes = fstatSync(this.file).size;
      const head = Buffer.alloc(Math.min(sizeBytes, 1 << 16));
      readSync(this.file, head, 0, head.length, 0);
      const end = head.indexOf(10);
      const header = parseHeader(end < 0 ? '' : head.toString('utf8', 0, end), path);
      this.start = end + 1;
      this.meta = header.meta;
      this.columns = header.columns;
      for (const { type, offset, length } of Object.values(this.columns)) {
        if (this.start + offset + length * TYPES[type].BYTES_PER_ELEMENT > sizeBytes) throw damaged(path);
      }
    } catch (error) {
      closeSync(this.file);
      throw error;
    }
  }

  length(name: string): number {
    return this.columns[name]?.length ?? 0;
  }

  /** The elements `start..end` of a column. */
  read<T extends Column = Uint32Array>(name: string, start = 0, end = this.length(name)): T {
    const column = this.columns[name];
    if (!column || start < 0 || end > column.length || start > end) throw damaged(this.path);
    const Type = TYPES[column.type];
    const array = new Type(end - start);
    const raw = new Uint8Array(array.buffer);
    let done = 0;
    while (done < raw.length) {
      const from = this.start + column.offset + start * Type.BYTES_PER_ELEMENT + done;
      const got = readSync(this.file, raw, done, Math.min(raw.length - done, 1 << 30), from);
      if (got === 0) throw damaged(this.path);
      done += got;
    }
    return array as Column as T;
  }

  close(): void {
    closeSync(this.file);
  }
}

/** A list of unsigned 32-bit numbers that grows; `view` is its part in use. */
export class Uint32List {
  private array = new Uint32Array(256);
  length = 0;

  push(value: number): void {
    if (this.length === this.array.length) this.reserve(1);
    this.array[this.length++] = value;
  }

  append(values: Uint32Array): void {
    this.reserve(values.length);
    this.array.set(values, this.length);
    this.length += values.length;
  }

  view(): Uint32Array {
    return this.array.subarray(0, this.length);
  }

  private reserve(more: number): void {
    if (this.length + more <= this.array.length) return;
    const larger = new Uint32Array(Math.max(this.array.length * 2, this.length + more));
    larger.set(this.view());
    this.array = larger;
  }
}

function parseHeader(text: string, where: string): Header {
  if (!text.startsWith(MAGIC)) throw damaged(where);
  try {
    return JSON.parse(text.slice(MAGIC.length)) as Header;
  } catch {
    throw damaged(where);
  }
}

function damaged(where: string): DabarexError {
  return new DabarexError(
    'documents_invalid',
    `${where} is not what a survey wrote, or not all of it. Delete the folder of documents and prepare the corpus again.`,
    { where },
  );
}

function aligned(offset: number): number {
  return Math.ceil(offset / 8) * 8;
}
