/**
 * Where the values of a sample stand: the u32 sizes of the columns of variable size, then all payloads, in the order of the columns. Every
 * size is held against the end of the sample before it is used. A sample is given as `buffer` and where it starts and ends in it.
 */
import type { MdsColumn } from './mds-index.ts';
import { findValues, type NdData } from './ndarray.ts';

/** What is wrong with a sample, to be put into a sentence about it. */
export class SampleProblem extends Error {}

/** The columns of a shard, and how to get at their values. All methods throw {@link SampleProblem}. */
export class SampleLayout {
  private readonly columns: readonly MdsColumn[];
  /** bytes of the values of each column; -1 where they vary */
  private readonly sizes: readonly number[];
  private readonly headBytes: number;
  private column = { name: '', number: -1 };
  /** the array that was last written to, and its bytes */
  private target: NdData | undefined;
  private targetBytes: Uint8Array = new Uint8Array(0);
  private lastSize = 0;

  constructor(columns: readonly MdsColumn[]) {
    this.columns = columns;
    this.sizes = columns.map((each) => each.encoding.sizeBytes ?? -1);
    this.headBytes = 4 * this.sizes.filter((size) => size < 0).length;
  }

  /** All values by the names of their columns, in memory of their own. */
  decode(buffer: Uint8Array, start: number, end: number): Record<string, unknown> {
    return this.map(buffer, start, end, (bytes, { name, encoding, encodingName }) => {
      const value = encoding.decode(bytes);
      if (value === undefined) throw new SampleProblem(`column "${name}" is no ${encodingName}`);
      return value;
    });
  }

  /** The bytes of all values, in memory of their own. */
  raw(buffer: Uint8Array, start: number, end: number): Record<string, Uint8Array> {
    return this.map(buffer, start, end, (bytes) => bytes.slice());
  }

  /**
   * Copies the values of an `ndarray` column to `target` from entry `offset` on, and returns how many there are. Where there is no room for
   * all, nothing is written.
   */
  copyArray(
    buffer: Uint8Array,
    start: number,
    end: number,
    columnName: string,
    target: NdData,
    offset: number,
  ): number {
    const number = this.numberOf(columnName);
    const { encoding, encodingName } = this.columns[number] ?? {};
    if (!encoding?.ndarray) throw new SampleProblem(`has no column "${columnName}" of arrays`);
    const at = this.find(buffer, start, end, number);
    const stop = at + this.lastSize;
    const values = findValues(buffer, at, stop, encoding.ndarray, target);
    if (values < 0) {
      const wanted = `${encodingName} for a ${target.constructor.name}`;
      throw new SampleProblem(`column "${columnName}" is no ${wanted}`);
    }
    if (target !== this.target) {
      this.target = target;
      this.targetBytes = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    }
    const width = target.BYTES_PER_ELEMENT;
    const count = (stop - values) / width;
    if ((offset + count) * width > this.targetBytes.length) return count;
    this.targetBytes.set(buffer.subarray(values, stop), offset * width);
    return count;
  }

  /** Where the value of a column begins; its size is put into `lastSize`. */
  private find(buffer: Uint8Array, start: number, end: number, number: number): number {
    let at = start + this.headBytes;
    let sizeAt = start;
    if (at > end) throw new SampleProblem('is too short for its sizes');
    for (let c = 0; ; c++) {
      let size = this.sizes[c]!;
      if (size < 0) {
        size = readU32(buffer, sizeAt);
        sizeAt += 4;
      }
      if (at + size > end) throw new SampleProblem(`ends inside column "${this.columns[c]!.name}"`);
      if (c === number) {
        this.lastSize = size;
        return at;
      }
      at += size;
    }
  }

  private map<T>(
    buffer: Uint8Array,
    start: number,
    end: number,
    take: (bytes: Uint8Array, column: MdsColumn) => T,
  ): Record<string, T> {
    let stop = start;
    const entries = this.columns.map((column, c): [string, T] => {
      const at = this.find(buffer, start, end, c);
      stop = at + this.lastSize;
      return [column.name, take(buffer.subarray(at, stop), column)];
    });
    if (stop !== end) throw new SampleProblem(`has ${end - stop} bytes after its last column`);
    return Object.fromEntries(entries);
  }

  private numberOf(name: string): number {
    if (this.column.name !== name) {
      this.column = { name, number: this.columns.findIndex((each) => each.name === name) };
    }
    return this.column.number;
  }
}

function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
