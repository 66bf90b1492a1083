/**
 * Chunks: ranges of bytes of a text file that are encoded on their own, each a few KB, with the number of their tokens. A chunk is
 * some whole lines of JSON Lines, or a part of the string of one long line, or a part of a plain text; parts end where the
 * tokenizer splits anyway, so the tokens of all chunks in order are those of the documents encoded whole.
 */
import { isUtf8 } from 'node:buffer';
import { DabarexError } from '../base/index.ts';
import type { TokenBuffer, Tokenizer } from '../tokenizer/index.ts';
import { textOfRow } from './rows/json-row.ts';
import { linesIn, markBytes } from './rows/lines.ts';
import { textLiteral } from './text-literal.ts';

export type TextFormat = 'jsonl' | 'text';

/** What a chunk holds. */
export const CHUNK_KINDS = { lines: 0, part: 1, lastPart: 2, text: 3, lastText: 4 } as const;

/** Chunks in the order of the file; four arrays of one length. */
export interface Chunks {
  /** place of the first byte in the file */
  readonly starts: Float64Array;
  readonly sizes: Uint32Array;
  /** end-of-text tokens included */
  readonly tokens: Uint32Array;
  readonly kinds: Uint8Array;
}

export interface ChunkSettings {
  readonly format: TextFormat;
  /** the field of each line that holds the text; nothing to plain text */
  readonly textField: string;
  /** bytes of a chunk, roughly */
  readonly chunkBytes: number;
}

export interface TextBlock {
  readonly bytes: Uint8Array;
  /** place of the first byte in the file */
  readonly startByte: number;
  /** true where it is the end of the file */
  readonly isLast: boolean;
}

/** Cuts blocks of one file into chunks and counts their tokens. */
export class Chunker {
  private readonly tokenizer: Tokenizer;
  private readonly settings: ChunkSettings;
  private readonly path: string;
  private readonly out: TokenBuffer;
  private readonly rows: [start: number, size: number, tokens: number, kind: number][] = [];

  constructor(path: string, tokenizer: Tokenizer, settings: ChunkSettings, out: TokenBuffer) {
    this.path = path;
    this.tokenizer = tokenizer;
    this.settings = settings;
    this.out = out;
  }

  /** @param block whole lines, or text that ends at a safe cut; @throws text_invalid */
  chunk(block: TextBlock): Chunks {
    this.rows.length = 0;
    if (!isUtf8(block.bytes)) throw this.notUtf8(block);
    if (this.settings.format === 'text') this.chunkText(block);
    else this.chunkLines(block);
    const column = (index: 0 | 1 | 2 | 3) => this.rows.map((row) => row[index]);
    return {
      starts: Float64Array.from(column(0)),
      sizes: Uint32Array.from(column(1)),
      tokens: Uint32Array.from(column(2)),
      kinds: Uint8Array.from(column(3)),
    };
  }

  private chunkText({ bytes, startByte, isLast }: TextBlock): void {
    const { chunkBytes } = this.settings;
    for (let start = startByte === 0 ? markBytes(bytes) : 0; start < bytes.length || isLast; ) {
      const rest = bytes.length - start;
      const end = rest <= 2 * chunkBytes ? bytes.length : this.tokenizer.safeCut(bytes, start + chunkBytes);
      const ends = isLast && end === bytes.length;
      this.add(bytes, startByte, start, end, ends ? CHUNK_KINDS.lastText : CHUNK_KINDS.text);
      if (ends) return;
      start = end;
    }
  }

  private chunkLines({ bytes, startByte }: TextBlock): void {
    const { chunkBytes } = this.settings;
    const first = startByte === 0 ? markBytes(bytes) : 0;
    let open = first;
    for (const { start, next: end } of linesIn(bytes, first)) {
      const isLong = end - start > 2 * chunkBytes;
      if (open < start && (isLong || end - open > chunkBytes)) {
        this.add(bytes, startByte, open, start, CHUNK_KINDS.lines);
        open = start;
      }
      if (isLong) {
        this.chunkLine(bytes, startByte, start, end);
        open = end;
      }
    }
    if (open < bytes.length) this.add(bytes, startByte, open, bytes.length, CHUNK_KINDS.lines);
  }

  private chunkLine(bytes: Uint8Array, startByte: number, start: number, end: number): void {
    const { chunkBytes, textField } = this.settings;
    const line = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
    if (line.trim() === '') return;
    textOfLine(line, textField, this.path, startByte + start);
    const [from, to] = textLiteral(bytes, start, end, textField);
    const literal = bytes.subarray(0, to);
    for (let at = from; ; ) {
      const next = to - at <= 2 * chunkBytes ? to : safeLiteralCut(literal, at + chunkBytes, this.tokenizer);
      this.add(bytes, startByte, at, next, next === to ? CHUNK_KINDS.lastPart : CHUNK_KINDS.part);
      if (next === to) return;
      at = next;
    }
  }

  private add(bytes: Uint8Array, startByte: number, start: number, end: number, kind: number): void {
    this.out.clear();
    const where = { path: this.path, startByte: startByte + start };
    encodeChunk(bytes.subarray(start, end), kind, where, this.settings.textField, this.tokenizer, this.out);
    if (this.out.length > 0) this.rows.push([where.startByte, end - start, this.out.length, kind]);
  }

  private notUtf8({ bytes, startByte }: TextBlock): DabarexError {
    const line = [...linesIn(bytes)].find(({ start, next }) => !isUtf8(bytes.subarray(start, next)));
    return invalidAt(this.path, startByte + (line?.start ?? 0), 'is not UTF-8');
  }
}

/**
 * Appends the tokens of one chunk to `out`.
 * @throws text_invalid where lines are no objects with a text
 */
export function encodeChunk(
  bytes: Uint8Array,
  kind: number,
  { path, startByte }: { readonly path: string; readonly startByte: number },
  textField: string,
  tokenizer: Tokenizer,
  out: TokenBuffer,
): void {
  if (kind === CHUNK_KINDS.text || kind === CHUNK_KINDS.lastText) tokenizer.encodeInto(bytes, out);
  else {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (kind !== CHUNK_KINDS.lines)
      tokenizer.encodeInto(JSON.parse(`"${buffer.toString('utf8')}"`) as string, out);
    else {
      for (const { start, next } of linesIn(buffer)) {
        const line = buffer.toString('utf8', start, next);
        if (line.trim() !== '') {
          tokenizer.encodeInto(textOfLine(line, textField, path, startByte + start), out);
          out.push(tokenizer.endOfTextId);
        }
      }
    }
  }
  if (kind === CHUNK_KINDS.lastPart || kind === CHUNK_KINDS.lastText) out.push(tokenizer.endOfTextId);
}

function textOfLine(line: string, textField: string, path: string, startByte: number): string {
  const row = textOfRow(line, textField);
  if ('text' in row) return row.text;
  const field = JSON.stringify(textField);
  const said = {
    invalid_json: line.endsWith('\n') ? 'is not JSON' : 'is not JSON: is the file cut off?',
    no_object: 'is not a JSON object',
    no_field: `has no field ${field} (it has ${row.detail})`,
    no_text: `holds no text in its field ${field} (it has ${row.detail})`,
  }[row.problem];
  throw invalidAt(path, startByte, said, row.cause);
}

/** The first place at or after `from` where the text of a JSON string may be cut; the end where there is none. */
export function safeLiteralCut(
  literal: Uint8Array,
  from: number,
  tokenizer: Pick<Tokenizer, 'safeCut'>,
): number {
  for (let at = from; ; ) {
    const cut = tokenizer.safeCut(literal, at);
    if (cut >= literal.length || !touchesEscape(literal, cut)) return cut;
    at = cut + 1;
  }
}

const BACKSLASH = 0x5c;
const LETTER_U = 0x75;

/** True where `at` stands within an escape, or right after one, or before one of a code unit: no place to cut. */
function touchesEscape(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] === BACKSLASH && bytes[at + 1] === LETTER_U) return true;
  if (bytes[at - 1] === BACKSLASH || bytes[at - 2] === BACKSLASH) return true;
  for (let back = 3; back <= 6; back++) {
    if (bytes[at - back] === BACKSLASH && bytes[at - back + 1] === LETTER_U) return true;
  }
  return false;
}

function invalidAt(path: string, startByte: number, problem: string, cause?: unknown): DabarexError {
  return new DabarexError(
    'text_invalid',
    `${path}: the line at byte ${startByte} ${problem}. Mend or remove it, or name the right textField.`,
    { path, startByte },
    { cause },
  );
}
