/** Text files opened as a data set of token samples: formats told by their names, unpacked where needed, indexed, read. */
import { availableParallelism } from 'node:os';
import { assert, DabarexError, type OnProgress } from '../base/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { packingOf } from './rows/unpacked.ts';
import type { TextFormat } from './text-chunks.ts';
import { type IndexedFile, TextIndexer } from './text-index.ts';
import { TextReader } from './text-reader.ts';
import { parquetToLines, unpackFile } from './text-unpack.ts';

export interface OpenTextOptions {
  readonly tokenizer: Tokenizer;
  /** tokens in a sample: the sequence length plus one */
  readonly sampleTokens: number;
  /** indexes and what was unpacked go here */
  readonly cacheDir: string;
  /** by default by the name of each file: .jsonl, .ndjson, .parquet, .txt, .md; all but Parquet may end in .gz or .zst */
  readonly format?: 'jsonl' | 'parquet' | 'text';
  /** field of a line, or column, that holds the text; default `text`. A file of format `text` is one document. */
  readonly textField?: string;
  /** threads that index; default: those of the machine */
  readonly threads?: number;
  /** bytes of text that are encoded together, roughly; smaller reads faster at random, and makes larger indexes; default 2048 */
  readonly chunkBytes?: number;
  /** tokens kept encoded; default 4 Mi, 16 MiB of memory */
  readonly cacheTokens?: number;
  /** what a packed file may unpack to; default 256 GiB */
  readonly unpackLimitBytes?: number;
  /** stages `hash`, `unpack`, `index` (unit bytes), each of one file */
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

const FORMATS: Readonly<Record<string, 'jsonl' | 'parquet' | 'text'>> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  parquet: 'parquet',
  txt: 'text',
  md: 'text',
};

/**
 * Opens text files as one data set of samples, their documents in the order of `files`. The first time takes a pass over the text
 * (resumed where it was stopped); later the index is found in `cacheDir`.
 * @throws file_missing, text_invalid, text_changed, data_too_small where all files fill no sample; disk_full and others of the cache
 */
export async function openTextReader(
  files: readonly string[],
  options: OpenTextOptions,
): Promise<TextReader> {
  const { tokenizer, sampleTokens, textField = 'text', chunkBytes = 2048, cacheTokens = 1 << 22 } = options;
  assert(chunkBytes >= 64 && chunkBytes <= 1 << 24, 'a chunk has 64 bytes to 16 MiB');
  const { threads = availableParallelism(), unpackLimitBytes = 2 ** 38 } = options;
  const indexed: IndexedFile[] = [];
  const indexers = new Map<TextFormat, TextIndexer>();
  try {
    for (const file of files) {
      options.signal?.throwIfAborted();
      const { path, format } = await plainFile(file, { ...options, textField, unpackLimitBytes });
      const indexer =
        indexers.get(format) ?? new TextIndexer({ ...options, format, textField, chunkBytes, threads });
      indexers.set(format, indexer);
      indexed.push(await indexer.index(path));
    }
  } finally {
    for (const indexer of indexers.values()) await indexer.close();
  }
  const reader = new TextReader({ files: indexed, tokenizer, textField, sampleTokens, cacheTokens });
  if (reader.numSamples > 0) return reader;
  throw new DabarexError(
    'data_too_small',
    `${reader.dir || 'No file'}: ${reader.numTokens} tokens, fewer than one sample of ${sampleTokens}. Add text, or shorten the sequence length.`,
    { tokens: reader.numTokens, sampleTokens },
  );
}

async function plainFile(
  file: string,
  options: OpenTextOptions & { readonly textField: string; readonly unpackLimitBytes: number },
): Promise<{ path: string; format: TextFormat }> {
  const packing = packingOf(file);
  const [, extension = ''] = /\.([^./\\]+)$/.exec(packing ? file.slice(0, -packing.length - 1) : file) ?? [];
  const format = options.format ?? FORMATS[extension.toLowerCase()];
  if (!format || (packing && format === 'parquet')) {
    const message = `${file}: its name tells no format. Name it .jsonl, .ndjson, .txt, .md (each with .gz, .zst or without) or .parquet, or say the format.`;
    throw new DabarexError('text_invalid', message, { path: file });
  }
  if (format === 'parquet') return { path: await parquetToLines(file, options), format: 'jsonl' };
  return { path: packing ? await unpackFile(file, options) : file, format };
}
