/**
 * Samples of tokens straight from text files, tokenized as they are read, behind the face of MDS shards: sample k is
 * tokens [k·T, (k + 1)·T] of the stream of all documents, the end-of-text token after each, T = sampleTokens - 1. The index knows how many
 * tokens every chunk has, so any sample is found without those before it and only the chunk or two that hold it are encoded.
 * What is encoded is kept for a while: reading in order encodes every chunk once.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { assert, DabarexError, lastAtMost } from '../base/index.ts';
import { TokenBuffer, type Tokenizer } from '../tokenizer/index.ts';
import type { SampleReader } from './sample-reader.ts';
import { encodeChunk } from './text-chunks.ts';
import type { IndexedFile } from './text-index.ts';

const MAX_OPEN_FILES = 64;

/** What was in a file when it was opened. */
export interface TextContent {
  readonly path: string;
  /** of the file as it lies there, packed or not */
  readonly sha256: string;
  readonly format: 'jsonl' | 'parquet' | 'text';
}

export interface TextReaderOptions {
  /** in the order of the stream */
  readonly files: readonly IndexedFile[];
  /** of the files that these were made of */
  readonly content: readonly TextContent[];
  readonly tokenizer: Tokenizer;
  readonly textField: string;
  /** tokens in a sample: the sequence length plus one */
  readonly sampleTokens: number;
  /** tokens of chunks that are kept encoded */
  readonly cacheTokens: number;
}

export class TextReader implements SampleReader {
  readonly dir: string;
  readonly numSamples: number;
  /** of the files, in the order of the stream */
  readonly content: readonly TextContent[];
  /** stands for the documents and their order, wherever the files lie */
  readonly contentSha256: string;
  /** of all documents, end-of-text tokens included; those that fill no sample too */
  readonly numTokens: number;
  private readonly options: TextReaderOptions;
  /** firstChunk[f] = number of the first chunk of file f, and the end */
  private readonly firstChunk: Float64Array;
  /** firstToken[c] = number of the first token of chunk c, and the end */
  private readonly firstToken: Float64Array;
  /** least recently used first */
  private readonly encoded = new Map<number, Int32Array>();
  private encodedTokens = 0;
  /** file -> handle, least recently used first */
  private readonly handles = new Map<number, number>();
  private readonly out = new TokenBuffer();
  private bytes = new Uint8Array(1 << 14);

  constructor(options: TextReaderOptions) {
    const { files, content, textField, sampleTokens } = options;
    assert(sampleTokens >= 2, 'a sample holds a token and the next');
    this.options = options;
    this.dir = named(content.map(({ path }) => path));
    this.content = content;
    const documents = content.map(({ sha256, format }) => [
      sha256,
      format === 'text' ? format : [format, textField],
    ]);
    this.contentSha256 = createHash('sha256').update(JSON.stringify(documents)).digest('hex');
    this.firstChunk = new Float64Array(files.length + 1);
    files.forEach(({ chunks }, f) => {
      this.firstChunk[f + 1] = this.firstChunk[f]! + chunks.starts.length;
    });
    this.firstToken = new Float64Array(this.firstChunk[files.length]! + 1);
    let chunk = 0;
    for (const { chunks } of files) {
      for (const count of chunks.tokens) {
        this.firstToken[chunk + 1] = this.firstToken[chunk]! + count;
        chunk++;
      }
    }
    this.numTokens = this.firstToken[chunk]!;
    this.numSamples = Math.max(0, Math.floor((this.numTokens - 1) / (sampleTokens - 1)));
  }

  /**
   * `{tokens}`, an Int32Array of its own.
   * @throws text_changed where a file is not what was indexed; file_missing
   */
  read(index: number): { tokens: Int32Array } {
    assert(Number.isInteger(index) && index >= 0 && index < this.numSamples, `sample ${index} out of range`);
    const { sampleTokens } = this.options;
    const tokens = new Int32Array(sampleTokens);
    const first = index * (sampleTokens - 1);
    let chunk = lastAtMost(this.firstToken, first);
    for (let filled = 0; filled < sampleTokens; chunk++) {
      const from = first + filled - this.firstToken[chunk]!;
      const part = this.chunk(chunk).subarray(from, from + sampleTokens - filled);
      tokens.set(part, filled);
      filled += part.length;
    }
    return { tokens };
  }

  close(): void {
    for (const handle of this.handles.values()) closeSync(handle);
    this.handles.clear();
    this.encoded.clear();
    this.encodedTokens = 0;
  }

  private chunk(number: number): Int32Array {
    const known = this.encoded.get(number);
    if (known) {
      this.encoded.delete(number);
      this.encoded.set(number, known);
      return known;
    }
    const tokens = this.encode(number);
    this.encoded.set(number, tokens);
    this.encodedTokens += tokens.length;
    for (const [oldest, { length }] of this.encoded) {
      if (this.encodedTokens <= this.options.cacheTokens || this.encoded.size === 1) break;
      this.encoded.delete(oldest);
      this.encodedTokens -= length;
    }
    return tokens;
  }

  private encode(number: number): Int32Array {
    const { files, textField, tokenizer } = this.options;
    const f = lastAtMost(this.firstChunk, number);
    const { path, chunks } = files[f]!;
    const c = number - this.firstChunk[f]!;
    const startByte = chunks.starts[c]!;
    const bytes = this.readBytes(f, startByte, chunks.sizes[c]!);
    this.out.clear();
    try {
      encodeChunk(bytes, chunks.kinds[c]!, { path, startByte }, textField, tokenizer, this.out);
    } catch (cause) {
      throw changed(path, cause);
    }
    if (this.out.length !== chunks.tokens[c]) throw changed(path);
    return this.out.slice();
  }

  private readBytes(f: number, startByte: number, length: number): Uint8Array {
    const { path, stamp } = this.options.files[f]!;
    const handle = this.handle(f);
    const { size, mtimeMs } = fstatSync(handle);
    if (size !== stamp.sizeBytes || mtimeMs !== stamp.mtimeMs) throw changed(path);
    if (this.bytes.length < length) this.bytes = new Uint8Array(length);
    for (let filled = 0; filled < length; ) {
      const count = readSync(handle, this.bytes, filled, length - filled, startByte + filled);
      if (count === 0) throw changed(path);
      filled += count;
    }
    return this.bytes.subarray(0, length);
  }

  private handle(f: number): number {
    let handle = this.handles.get(f);
    if (handle === undefined) {
      const { path } = this.options.files[f]!;
      try {
        handle = openSync(path, 'r');
      } catch (cause) {
        const message = `${path} was indexed and is gone. Put it back, or open the others without it.`;
        throw new DabarexError('file_missing', message, { path }, { cause });
      }
    }
    this.handles.delete(f);
    this.handles.set(f, handle);
    if (this.handles.size > MAX_OPEN_FILES) {
      const [oldest, its] = this.handles.entries().next().value!;
      closeSync(its);
      this.handles.delete(oldest);
    }
    return handle;
  }
}

function changed(path: string, cause?: unknown): DabarexError {
  const message = `${path} is not what it was when it was indexed. Put the old content back, or open it again to index the new.`;
  return new DabarexError('text_changed', message, { path }, { cause });
}

function named(paths: readonly string[]): string {
  return paths.length <= 3 ? paths.join(', ') : `${paths[0]} and ${paths.length - 1} other files`;
}
