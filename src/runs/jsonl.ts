/**
 * Append-only files of one JSON object per line. A line is appended by one write, so a reader sees whole lines and at most
 * one unfinished last line: of a writer at work, or of one that died. Readers leave that tail; a writer cuts it off before appending.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { fileError, writeFileAtomic } from '../base/index.ts';

const NEWLINE = 0x0a;
const TAIL_BLOCK_BYTES = 1 << 16;

/** Which objects a reader takes; the other lines count as damaged. */
type IsValid<T> = (value: object) => value is T & object;
const isAny = <T>(value: object): value is T & object => value !== undefined;

export interface JsonLines<T> {
  readonly values: T[];
  /** where the next read starts: just behind the last whole line */
  readonly nextByte: number;
  /** bytes behind the last line end: a line being written, or cut short by a crash */
  readonly incompleteTailBytes: number;
  /** whole lines that are not JSON objects, or not valid ones, and were passed over */
  readonly damagedLines: number;
}

/**
 * Appends `value` as one line by a single write; cuts a part-written line off again if the write fails.
 * @throws disk_full and what else {@link fileError} knows
 */
export function appendJsonLine(path: string, value: unknown): void {
  appendText(path, `${JSON.stringify(value)}\n`);
}

/** As {@link appendJsonLine}, for plain text. */
export function appendText(path: string, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  try {
    const file = openSync(path, 'a');
    try {
      appendWhole(file, bytes);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

function appendWhole(file: number, bytes: Uint8Array): void {
  const before = fstatSync(file);
  try {
    let offset = 0;
    while (offset < bytes.byteLength) offset += writeSync(file, bytes, offset);
  } catch (error) {
    if (before.isFile()) ftruncateSync(file, before.size);
    throw error;
  }
}

/**
 * Reads the whole lines from byte `sinceByte`, at most about `maxBytes` of them. An absent file is empty; an offset
 * behind the end of the file gives nothing and `nextByte` = the end, which the caller can tell by `nextByte < sinceByte`.
 */
export function readJsonLines<T>(
  path: string,
  sinceByte = 0,
  maxBytes = Infinity,
  isValid: IsValid<T> = isAny,
): JsonLines<T> {
  if (!existsSync(path)) return { values: [], nextByte: 0, incompleteTailBytes: 0, damagedLines: 0 };
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size;
    if (sinceByte >= size) return { values: [], nextByte: size, incompleteTailBytes: 0, damagedLines: 0 };
    let length = Math.min(size - sinceByte, maxBytes);
    let bytes = readBytes(file, sinceByte, length);
    while (bytes.lastIndexOf(NEWLINE) < 0 && length < size - sinceByte) {
      length = Math.min(size - sinceByte, length * 2);
      bytes = readBytes(file, sinceByte, length);
    }
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    const reachedEnd = sinceByte + bytes.length >= size;
    return {
      ...parseLines(bytes.subarray(0, end).toString('utf8'), isValid),
      nextByte: sinceByte + end,
      incompleteTailBytes: reachedEnd ? bytes.length - end : 0,
    };
  } finally {
    closeSync(file);
  }
}

/** The last `count` whole lines that parse, in their order, reading only the end of the file; fewer where there are no more. */
export function readLastJsonLines<T>(path: string, count: number, isValid: IsValid<T> = isAny): T[] {
  if (!existsSync(path)) return [];
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size;
    for (let block = TAIL_BLOCK_BYTES; ; block *= 4) {
      const start = Math.max(0, size - block);
      const bytes = readBytes(file, start, size - start);
      const firstWhole = start === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      const text = firstWhole < end ? bytes.subarray(firstWhole, end).toString('utf8') : '';
      const { values } = parseLines(text, isValid);
      if (values.length >= count || start === 0) return values.slice(-count);
    }
  } finally {
    closeSync(file);
  }
}

/** Cuts off an unfinished last line; returns the number of bytes removed. */
export function truncateIncompleteTail(path: string): number {
  if (!existsSync(path)) return 0;
  const bytes = readFileSync(path);
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  if (end === bytes.length) return 0;
  const file = openSync(path, 'r+');
  try {
    ftruncateSync(file, end);
  } finally {
    closeSync(file);
  }
  return bytes.length - end;
}

/** Rewrites the file with the lines whose value `keep` accepts, atomically; returns the number of lines dropped. */
export function filterJsonLines<T>(path: string, keep: (value: T) => boolean): number {
  const { values, damagedLines, incompleteTailBytes } = readJsonLines<T>(path);
  const kept = values.filter(keep);
  const dropped = values.length - kept.length;
  if (dropped + damagedLines + incompleteTailBytes === 0) return 0;
  writeFileAtomic(path, kept.map((value) => `${JSON.stringify(value)}\n`).join(''));
  return dropped;
}

function parseLines<T>(text: string, isValid: IsValid<T>): { values: T[]; damagedLines: number } {
  const values: T[] = [];
  let damagedLines = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const value = parseObject(line);
    if (value && isValid(value)) values.push(value);
    else damagedLines++;
  }
  return { values, damagedLines };
}

function parseObject(line: string): object | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function readBytes(file: number, start: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let offset = 0;
  while (offset < length) {
    const count = readSync(file, bytes, offset, length - offset, start + offset);
    if (count === 0) break;
    offset += count;
  }
  return bytes.subarray(0, offset);
}
