/** `dabarex data inspect`: what an MDS data set or text files hold, and whether they are whole. */
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { DabarexError, type OnProgress } from '../../../base/index.ts';
import { type InputFormat, inspectTexts, type TextInspection } from '../../../prepare/index.ts';
import { findFiles, ObjectCache, parseSourceUrl, type StoreOptions } from '../../../storage/index.ts';
import {
  type Fetched,
  type Inspection,
  inspectMds,
  inspectRemoteMds,
  isRemote,
} from '../../../stream/index.ts';
import { loadTokenizer, type Tokenizer } from '../../../tokenizer/index.ts';
import type { CliContext } from '../../context.ts';
import { sourcesDirOf } from '../../folders.ts';
import { examples } from '../../help.ts';
import { createProgressDisplay } from '../../progress.ts';
import { byteCount, positive, wholeNumber } from '../../sampling.ts';
import { inspectionJson, renderInspection, renderTexts, textInspectionJson } from './inspect-output.ts';

interface InspectCommandOptions {
  readonly sample: number;
  readonly top: number;
  readonly shards?: number;
  readonly tokenizer?: string;
  readonly textField?: string;
  readonly format?: Exclude<InputFormat, 'mds'>;
  readonly cache?: string;
  readonly cacheLimit?: number;
  readonly json?: boolean;
}

type Found = { readonly mds: Inspection; readonly fetched?: Fetched } | { readonly texts: TextInspection };

/** @returns the command `inspect` */
export function inspectCommand(context: CliContext): Command {
  return new Command('inspect')
    .description(
      'MDS: schema, samples, token histogram, exact duplicates and the health of every shard; text files: fields, lengths, duplicates',
    )
    .argument(
      '<place>',
      'an MDS data set, the folder of its index.json or its URL (s3:, https:, npm:, file:); or text files, by a path, pattern or URL',
    )
    .option('--sample <n>', 'how many samples to show, spread over the data set', wholeNumber, 3)
    .option('--top <n>', 'how many of the most frequent tokens to list', wholeNumber, 20)
    .option('--shards <n>', 'of MDS: read only so many shards, spread over the data set', positive)
    .option('--tokenizer <file>', 'a tokenizer.json, to show tokens as text; of text files: to count tokens')
    .option('--text-field <name>', 'of text files: the field or column that holds the text; default: text')
    .addOption(
      new Option('--format <format>', 'of text files whose names do not tell').choices([
        'jsonl',
        'parquet',
        'text',
      ]),
    )
    .option('--cache <folder>', 'where what is fetched is kept; default: objects/ of the cache')
    .option('--cache-limit <size>', 'what may be kept there; default: no limit', byteCount)
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      `${examples([
        ['dabarex data inspect shards/train/web', 'figures, and damage if there is any'],
        ['dabarex data inspect shards --sample 10 --tokenizer tokenizer.json', 'more samples, as text'],
        ['dabarex data inspect s3://corpora/tokens/web --shards 4', 'a look, which fetches four shards'],
        ["dabarex data inspect 'texts/*.jsonl.gz' --text-field body", 'before training on them'],
      ])}\nEvery file is read unless --shards says less. The exit code is 1 where something is damaged; all damage is listed.
Keys and endpoints of S3 come from the environment, as for all commands: AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL, ...`,
    )
    .action((place: string, options: InspectCommandOptions) => run(place, options, context));
}

async function run(place: string, options: InspectCommandOptions, context: CliContext): Promise<void> {
  const tokenizer =
    options.tokenizer === undefined ? undefined : loadTokenizer(resolve(context.cwd, options.tokenizer));
  const progress = createProgressDisplay(context.stderr, context.now);
  let found: Found;
  try {
    context.watchInterrupts();
    found = isTexts(place, options, context)
      ? { texts: await lookAtTexts(place, options, tokenizer, context, progress.onProgress) }
      : await lookAtMds(place, options, context, progress.onProgress);
  } finally {
    progress.stop();
  }
  if ('texts' in found) {
    if (options.json) context.printJson(textInspectionJson(found.texts, tokenizer));
    else context.print(renderTexts(found.texts, tokenizer));
    if (found.texts.numProblems > 0) throw unreadable(found.texts);
    return;
  }
  const { mds, fetched } = found;
  if (options.json) context.printJson(inspectionJson(mds, tokenizer, fetched));
  else context.print(renderInspection(mds, tokenizer, fetched));
  if (mds.numProblems > 0) throw damaged(mds);
}

/** Whether a place names files of text: by their ending, by a pattern, or by being files. */
function isTexts(place: string, { format, textField }: InspectCommandOptions, { cwd }: CliContext): boolean {
  if (format !== undefined || textField !== undefined) return true;
  if (isRemote(place) && !/^file:/i.test(place))
    return /[#*{]|\.(jsonl|ndjson|parquet|txt|md)(\.gz|\.zst)?$/i.test(place);
  const path = localPath(place, cwd);
  if (!existsSync(path)) return /[*?{[]|\.(jsonl|ndjson|parquet|txt|md)(\.gz|\.zst)?$/i.test(place);
  return !statSync(path).isDirectory();
}

async function lookAtMds(
  place: string,
  options: InspectCommandOptions,
  context: CliContext,
  onProgress: OnProgress,
): Promise<Found> {
  const looking = {
    samples: options.sample,
    topTokens: options.top,
    shards: options.shards,
    onProgress,
    signal: context.interrupted,
  };
  if (!isRemote(place) || /^file:/i.test(place)) {
    return { mds: await inspectMds(localPath(place, context.cwd), looking) };
  }
  const remote = { ...cacheOf(options, context), stores: storesOf(context) };
  const { inspection, fetched } = await inspectRemoteMds(place, remote, looking);
  return { mds: inspection, fetched };
}

async function lookAtTexts(
  place: string,
  { sample, top, textField, format, ...options }: InspectCommandOptions,
  tokenizer: Tokenizer | undefined,
  context: CliContext,
  onProgress: OnProgress,
): Promise<TextInspection> {
  const { cacheDir, cacheLimitBytes } = cacheOf(options, context);
  let cache: ObjectCache | undefined;
  const openCache = () => {
    cache ??= new ObjectCache({ dir: cacheDir, limitBytes: cacheLimitBytes });
    return cache;
  };
  const signal = context.interrupted;
  try {
    const stores = storesOf(context);
    const files = await findFiles(place, {
      baseDir: context.cwd,
      cache: openCache,
      stores,
      onProgress,
      signal,
    });
    const paths = files.map(({ path }) => path);
    const looking = { textField, format, tokenizer, samples: sample, topTokens: top, onProgress, signal };
    return await inspectTexts(paths, looking);
  } finally {
    cache?.close();
  }
}

function localPath(place: string, cwd: string): string {
  const path = resolve(cwd, place);
  // A path that is there is meant as it stands, whatever is in its name.
  return existsSync(path) ? path : resolve(cwd, (parseSourceUrl(place) as { path: string }).path);
}

function cacheOf(
  { cache, cacheLimit }: Pick<InspectCommandOptions, 'cache' | 'cacheLimit'>,
  context: CliContext,
) {
  return {
    cacheDir: cache === undefined ? join(context.cacheDir, 'objects') : resolve(context.cwd, cache),
    cacheLimitBytes: cacheLimit ?? Number.MAX_SAFE_INTEGER,
  };
}

function storesOf(context: CliContext): StoreOptions {
  return { ...context.storage, npm: context.npm, cacheDir: sourcesDirOf(context) };
}

function damaged({ dir, numProblems, shards }: Inspection): DabarexError {
  const numShards = shards.filter((each) => each.problems.length > 0).length;
  return new DabarexError(
    'shard_corrupt',
    `${dir}: ${numProblems} problems in ${numShards} of ${shards.length} shards, listed above. Copy these shards again or write the data set again.`,
    { dir, numProblems, numShards },
  );
}

function unreadable({ files, numProblems }: TextInspection): DabarexError {
  return new DabarexError(
    'text_invalid',
    `${numProblems} of ${files.length} files cannot be read to their end, as listed above. Mend them.`,
    { numProblems, numFiles: files.length },
  );
}
