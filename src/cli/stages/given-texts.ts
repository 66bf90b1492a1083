/** Text files that a recipe names in `data.shards`: found, fetched where they lie in a store, indexed in the cache, and told apart by their content. */
import { DabarexError, type OnProgress } from '../../base/index.ts';
import type { RunData } from '../../runs/index.ts';
import { findFiles, ObjectCache } from '../../storage/index.ts';
import {
  openTextReader,
  type RemoteOptions,
  type TextContent,
  type TextFilesConfig,
  type TextPlace,
} from '../../stream/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';

/** domain -> files in the order of their stream, as a run records them */
export type TextRecord = NonNullable<RunData['files']>;

export interface TextOptions {
  /** what relative paths start from */
  readonly baseDir: string;
  readonly remote: RemoteOptions;
  /** where indexes and unpacked files go */
  readonly textsDir: string;
  readonly tokenizer: Tokenizer;
  readonly sequenceLength: number;
  /** a checkpoint of a run that recorded its files: the same are wanted */
  readonly begun?: { readonly checkpoint: string; readonly files: TextRecord };
  readonly threads: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface OpenedTexts {
  readonly place: TextPlace;
  readonly samples: number;
  readonly files: TextRecord[string];
}

/**
 * Indexes the files of one domain, unless that is done. Those fetched stay in the cache as long as this process lives.
 * @param split training must be as a checkpoint knows it; what is held out may change
 * @throws file_missing, source_not_found, text_invalid, text_changed, data_too_small; what stores and the cache throw
 */
export async function openTexts(
  { files: patterns, format, textField }: TextFilesConfig,
  split: 'train' | 'heldout',
  domain: string,
  options: TextOptions,
): Promise<OpenedTexts> {
  try {
    const names = await namesByPath(patterns, options);
    const files = [...names.keys()];
    const { textsDir: cacheDir, tokenizer, threads, onProgress, signal, begun } = options;
    const record = (content: readonly TextContent[]) =>
      content.map(({ path, sha256 }) => ({ path: names.get(path)!, sha256 }));
    const settings = { format, textField, sampleTokens: options.sequenceLength + 1, cacheDir };
    const onContent = (content: readonly TextContent[]) => {
      if (begun && split === 'train')
        requireSame(begun.checkpoint, domain, begun.files[domain], record(content));
    };
    const opening = { ...settings, tokenizer, threads, onContent, onProgress, signal };
    const reader = await openTextReader(files, opening);
    reader.close();
    const { contentSha256, numSamples, content } = reader;
    return {
      place: { files, ...settings, contentSha256 },
      samples: numSamples,
      files: record(content),
    };
  } catch (error) {
    if (!(error instanceof DabarexError)) throw error;
    const { code, message, fields } = error;
    const where = `data.shards.${split}.${domain}`;
    throw new DabarexError(code, `${where}: ${message}`, { ...fields, where }, { cause: error });
  }
}

/** Local path -> what the file is called; each once, at its first place. */
async function namesByPath(
  patterns: readonly string[],
  { baseDir, remote, onProgress, signal }: TextOptions,
): Promise<Map<string, string>> {
  let cache: ObjectCache | undefined;
  const openCache = () => {
    cache ??= new ObjectCache({ dir: remote.cacheDir, limitBytes: remote.cacheLimitBytes });
    return cache;
  };
  const names = new Map<string, string>();
  for (const pattern of patterns) {
    const found = await findFiles(pattern, {
      baseDir,
      cache: openCache,
      stores: remote.stores,
      onProgress,
      signal,
    });
    for (const { path, name } of found) if (!names.has(path)) names.set(path, name);
  }
  return names;
}

/** @throws text_changed where a checkpoint was trained on other files than those of now */
function requireSame(
  checkpoint: string,
  domain: string,
  before: TextRecord[string] | undefined,
  now: TextRecord[string],
): void {
  if (!before) return;
  const i = now.findIndex(({ sha256 }, k) => sha256 !== before[k]?.sha256);
  if (i < 0 && now.length === before.length) return;
  const [has, had] = i < 0 ? [undefined, before[now.length]] : [now[i], before[i]];
  const problem =
    has?.path === had?.path
      ? `${has?.path} is not what it was`
      : `it reads ${has?.path ?? 'nothing more'} where it read ${had?.path ?? 'nothing more'}`;
  throw new DabarexError(
    'text_changed',
    `${checkpoint} was trained on other text: ${problem}. Put the old files back to continue, or give the run on the new ones another name.`,
    { path: has?.path ?? had?.path, checkpoint, domain },
  );
}
