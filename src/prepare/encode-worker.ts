/** A thread of {@link EncodePool}: documents in, tokens out. */
import { workerData } from 'node:worker_threads';
import { answerJobs } from '../base/index.ts';
import { linesIn } from '../stream/index.ts';
import { loadTokenizer, TokenBuffer } from '../tokenizer/index.ts';
import { parseDocument } from './documents.ts';

export type EncodeJob =
  /** whole lines, each a document of the file at `path` */
  | { readonly kind: 'lines'; readonly bytes: Uint8Array; readonly path: string; readonly startByte: number }
  /** a part of a text; `ends`: the last */
  | { readonly kind: 'part'; readonly bytes: Uint8Array; readonly ends: boolean };

export interface EncodeAnswer {
  readonly tokens: Int32Array;
  readonly documents: number;
  /** UTF-8 bytes of the text */
  readonly bytes: number;
}

const { tokenizerPath } = workerData as { tokenizerPath: string };
const tokenizer = loadTokenizer(tokenizerPath);
const out = new TokenBuffer();

answerJobs((job: EncodeJob): { answer: EncodeAnswer; transfer: ArrayBuffer[] } => {
  out.clear();
  const counts =
    job.kind === 'lines' ? encodeLines(job.bytes, job.path, job.startByte) : encodePart(job.bytes, job.ends);
  const tokens = out.slice();
  return { answer: { tokens, ...counts }, transfer: [tokens.buffer as ArrayBuffer] };
});

function encodeLines(
  lines: Uint8Array,
  path: string,
  startByte: number,
): { documents: number; bytes: number } {
  const buffer = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength);
  let documents = 0;
  let bytes = 0;
  for (const { start, end } of linesIn(buffer)) {
    const { text } = parseDocument(buffer.toString('utf8', start, end), path, {
      startByte: startByte + start,
    });
    tokenizer.encodeInto(text, out);
    out.push(tokenizer.endOfTextId);
    bytes += Buffer.byteLength(text);
    documents++;
  }
  return { documents, bytes };
}

function encodePart(bytes: Uint8Array, ends: boolean): { documents: number; bytes: number } {
  tokenizer.encodeInto(bytes, out);
  if (ends) out.push(tokenizer.endOfTextId);
  return { documents: ends ? 1 : 0, bytes: bytes.length };
}
