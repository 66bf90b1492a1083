/** Text files opened as a data set of token samples: formats told by their names, unpacked where needed, indexed, read. */
import { availableParallelism } from 'node:os';
import { assert, DabarexError, type OnProgress } from '../base/index.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import { FileProgress } from './file-progress.ts';
import { packingOf } from './rows/unpacked.ts';
import type { TextFormat } from './text-chunks.ts';
import { type IndexedFile, TextIndexer } from './text-index.ts';
import { type TextContent, TextReader } from './text-reader.ts';
import { contentOf } from './text-stamp.ts';
import { parquetToLines, unpackFile } from './text-unpack.ts';

export interface OpenTextOptions {
  readonly tokenizer: Tokenizer;
  /** tokens in a sample: the sequence length plus one */
  readonly sampleTokens: number;
  /** indexes and what was unpacked go here */
  readonly cacheDir: string;
  /** by default by the name of each file: .jsonl, .ndjson, .parquet, .txt, .md; all but Parquet may end in .gz or .zst */
  readonly format?: FileFormat;
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
  /** told of the files once they are hashed, before anything is indexed; throws to refuse them */
  readonly onContent?: (content: readonly TextContent[]) => void;
  /** stages `hash`, `unpack`, `index`, in bytes of all files */
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export type FileFormat = 'jsonl' | 'parquet' | 'text';

const FORMATS: Readonly<Record<string, FileFormat>> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  parquet: 'parquet',
  txt: 'text',
  md: 'text',
};

interface Source extends TextContent {
  readonly isPacked: boolean;
}

/**
 * Opens text files as one data set of samples, their documents in the order of `files`. The first time takes a pass over the text
 * (resumed where it was stopped); later the index is found in `cacheDir`.
 * @throws file_missing, text_invalid, text_changed, data_too_small where all files fill no sample; disk_full and others of the cache
 */
export async function openTextReader(
  files: readonly string[],
  options: OpenTextOptions,
): Promise<TextReader> {
  const { tokenizer, sampleTokens, textField = 'text', cacheTokens = 1 << 22 } = options;
  const progress = new FileProgress(options.onProgress);
  const sources: Source[] = [];
  const formats = files.map((file) => formatOf(file, options.format));
  progress.begin(files);
  for (const [i, path] of files.entries()) {
    options.signal?.throwIfAborted();
    const { sha256 } = await contentOf(path, options.cacheDir, { ...options, onProgress: progress.of(i) });
    sources.push({ path, sha256, ...formats[i]! });
  }
  progress.end();
  const content = sources.map(({ path, sha256, format }) => ({ path, sha256, format }));
  options.onContent?.(content);
  const indexed = await indexAll(sources, options, progress);
  const reader = new TextReader({ files: indexed, content, tokenizer, textField, sampleTokens, cacheTokens });
  if (reader.numSamples > 0) return reader;
  throw new DabarexError(
    'data_too_small',
    `${reader.dir || 'No file'}: ${reader.numTokens} tokens, fewer than one sample of ${sampleTokens}. Add text, or shorten the sequence length.`,
    { tokens: reader.numTokens, sampleTokens },
  );
}

async function indexAll(
  sources: readonly Source[],
  options: OpenTextOptions,
  progress: FileProgress,
): Promise<IndexedFile[]> {
  const { textField = 'text', chunkBytes = 2048, threads = availableParallelism() } = options;
  assert(chunkBytes >= 64 && chunkBytes <= 1 << 24, 'a chunk has 64 bytes to 16 MiB');
  const indexers = new Map<TextFormat, TextIndexer>();
  const indexed: IndexedFile[] = [];
  try {
    for (const [i, source] of sources.entries()) {
      options.signal?.throwIfAborted();
      const onProgress = progress.of(i);
      const { path, format } = await plainFile(source, { ...options, onProgress });
      const indexer =
        indexers.get(format) ?? new TextIndexer({ ...options, format, textField, chunkBytes, threads });
      indexers.set(format, indexer);
      indexed.push(await indexer.index(path, onProgress));
    }
  } finally {
    for (const indexer of indexers.values()) await indexer.close();
  }
  progress.end();
  return indexed;
}

/** @throws text_invalid */
function formatOf(file: string, given: FileFormat | undefined): Pick<Source, 'format' | 'isPacked'> {
  const packing = packingOf(file);
  const isPacked = packing !== undefined;
  const [, extension = ''] = /\.([^./\\]+)$/.exec(packing ? file.slice(0, -packing.length - 1) : file) ?? [];
  const format = given ?? FORMATS[extension.toLowerCase()];
  if (format && !(isPacked && format === 'parquet')) return { format, isPacked };
  const message = `${file}: its name tells no format. Name it .jsonl, .ndjson, .txt, .md (each with .gz, .zst or without) or .parquet, or say the format.`;
  throw new DabarexError('text_invalid', message, { path: file });
}

async function plainFile(
  { path, format, isPacked }: Source,
  options: OpenTextOptions,
): Promise<{ path: string; format: TextFormat }> {
  const { textField = 'text', unpackLimitBytes = 2 ** 38 } = options;
  const unpacking = { ...options, textField, unpackLimitBytes };
  if (format === 'parquet') return { path: await parquetToLines(path, unpacking), format: 'jsonl' };
  return { path: isPacked ? await unpackFile(path, unpacking) : path, format };
}
