/** The stages before training: clean documents, the tokenizer, token shards. Each is reused when it is there already. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { assert, type OnProgress, writeFileAtomic } from '../../base/index.ts';
import { latestCheckpoint } from '../../checkpoint/index.ts';
import {
  prepareCorpus,
  type TrainedTokenizer,
  tokenizeCorpus,
  trainCorpusTokenizer,
} from '../../prepare/index.ts';
import { RUN_FILES, type RunData, readRunData, type Stage } from '../../runs/index.ts';
import type { TextPlace } from '../../stream/index.ts';
import { loadTokenizer, type Tokenizer } from '../../tokenizer/index.ts';
import { Curriculum, type Mix } from '../../train/index.ts';
import type { CliContext } from '../context.ts';
import { corpusConfigOf } from '../data-config.ts';
import { dataDirOf, sourcesDirOf, textsDirOf } from '../folders.ts';
import { type Recipe, requirePart } from '../recipe.ts';
import type { RunSession } from '../session.ts';
import { dataKeyOf, otherDataError } from './checkpoints.ts';
import { openGiven, remoteOptionsOf } from './given-shards.ts';

export interface TokenData {
  /** absent where the recipe gives data that is ready */
  readonly documentsDir?: string;
  readonly tokenizer: Tokenizer;
  /** stands for all that training draws from: equal keys, equal batches */
  readonly key: string;
  /** what it is, for the run to record */
  readonly origin: RunData;
  /** rows of a sequence */
  readonly sequenceLength: number;
  readonly domains: Readonly<Record<string, DomainData>>;
}

export interface DomainData {
  readonly samples: number;
  /** of text, that a training token stands for on average; 0 where that is not known */
  readonly bytesPerToken: number;
  /** an MDS data set: a folder, or the URL of one in a store; or text files */
  readonly train: string | TextPlace;
  /** a local folder, or text files; absent where nothing of the domain is held out */
  readonly heldout?: string | TextPlace;
  readonly heldoutSamples: number;
}

/** Who prepares data: a run, or a command that only needs the data. */
export interface DataCaller {
  readonly recipe: Recipe;
  readonly context: CliContext;
  readonly threads: number;
  readonly onProgress?: OnProgress;
  log(text: string): void;
  /** brackets a stage; see {@link RunSession.reusableStage} */
  reusableStage<T>(stage: Stage, work: (begin: () => void) => Promise<T>): Promise<T>;
}

export interface TokenDataOptions {
  /** what relative `file:` sources start from; default: the working directory */
  readonly baseDir?: string;
  /** @throws documents_invalid where a stage is not there, rather than making it */
  readonly onlyFinished?: boolean;
  /** told of the tokenizer's file before the text is encoded with it */
  readonly onTokenizer?: (path: string) => void;
  /** what the run of the checkpoint recorded of its data, to tell what has changed */
  readonly recorded?: RunData;
  /** a checkpoint that the data must be that of: its tokenizer is taken */
  readonly checkpoint?: string;
}

/**
 * The data of a run, whose directory gets the tokenizer and what the data is of. A run that has a checkpoint keeps its
 * tokenizer: it was learned in the proportions of the curriculum, of which phases to come may have changed since.
 * @throws checkpoint_mismatch, text_changed as {@link makeTokenData}
 */
export async function prepareTokenData(session: RunSession): Promise<TokenData> {
  const { path } = session.run;
  const onTokenizer = (file: string) => writeFileAtomic(join(path, 'tokenizer.json'), readFileSync(file));
  const checkpoint = latestCheckpoint(path)?.dir;
  const data = await makeTokenData(session, { onTokenizer, checkpoint, recorded: readRunData(path) });
  writeFileAtomic(join(path, RUN_FILES.data), `${JSON.stringify(data.origin, null, 2)}\n`);
  return data;
}

/**
 * Documents, tokenizer and shards of a recipe, from the cache or made into it.
 * @throws checkpoint_mismatch, or text_changed for text files that it names, where they are not those that `options.checkpoint` was trained on
 */
export async function makeTokenData(caller: DataCaller, options: TokenDataOptions = {}): Promise<TokenData> {
  const { recipe, context, threads } = caller;
  const { sequenceLength } = requirePart(recipe, 'train');
  if (requirePart(recipe, 'data').shards) return openGivenData(caller, options);
  const documentsDir = await makeDocuments(caller, options);
  const { checkpoint } = options;
  const { tokenizer, path } = checkpoint
    ? tokenizerOf(checkpoint)
    : await makeTokenizer(caller, documentsDir, options);
  context.interrupted.throwIfAborted();
  options.onTokenizer?.(path);
  const { shardsDir, manifest } = await caller.reusableStage('shards', (onBegin) =>
    tokenizeCorpus({
      ...stageOptions(caller, options),
      documentsDir,
      tokenizerPath: path,
      sampleTokens: sequenceLength + 1,
      outDir: join(dataDirOf(context), 'shards'),
      threads,
      onBegin,
      onKey: (key) => {
        if (checkpoint && key !== dataKeyOf(checkpoint)) throw otherDataError(checkpoint);
      },
    }),
  );
  const domains = Object.entries(manifest.domains).map(([name, { train, heldout }]): [string, DomainData] => [
    name,
    {
      samples: train.samples,
      bytesPerToken: train.bytesPerToken,
      train: join(shardsDir, 'train', name),
      heldout: join(shardsDir, 'heldout', name),
      heldoutSamples: heldout.samples,
    },
  ]);
  const { key, corpusKey, tokenizerSha256 } = manifest;
  const origin = { documents_key: corpusKey, shards_key: key, tokenizer_sha256: tokenizerSha256 };
  return { documentsDir, tokenizer, key, origin, sequenceLength, domains: Object.fromEntries(domains) };
}

/** Data that a recipe gives ready: token shards, text files. */
async function openGivenData(caller: DataCaller, options: TokenDataOptions): Promise<TokenData> {
  const { recipe, context } = caller;
  const { sequenceLength } = requirePart(recipe, 'train');
  const { shards, stream } = requirePart(recipe, 'data');
  const { checkpoint, recorded, baseDir = context.cwd } = options;
  const { tokenizer, path } = checkpoint ? tokenizerOf(checkpoint) : givenTokenizer(recipe, baseDir);
  options.onTokenizer?.(path);
  const given = await caller.reusableStage('shards', () =>
    openGiven(shards!, {
      baseDir,
      remote: remoteOptionsOf(context, stream),
      textsDir: textsDirOf(context),
      tokenizer,
      sequenceLength,
      begun: checkpoint && recorded?.files ? { checkpoint, files: recorded.files } : undefined,
      threads: caller.threads,
      onProgress: caller.onProgress,
      signal: context.interrupted,
    }),
  );
  const { domains, content: indexes, files } = given;
  // As a checkpoint keeps it, however the file at hand is laid out.
  const tokenizerSha256 = sha256Of(`${JSON.stringify(tokenizer)}\n`);
  const key = sha256Of(JSON.stringify({ indexes, tokenizerSha256, sequenceLength }));
  if (checkpoint && key !== dataKeyOf(checkpoint)) {
    throw otherDataError(checkpoint);
  }
  const origin: RunData = {
    documents_key: sha256Of(JSON.stringify(indexes)),
    shards_key: key,
    tokenizer_sha256: tokenizerSha256,
    ...(files && { files }),
  };
  return { tokenizer, key, origin, sequenceLength, domains };
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The tokenizer that a recipe names by its path. */
function givenTokenizer(recipe: Recipe, baseDir: string): Pick<TrainedTokenizer, 'tokenizer' | 'path'> {
  const config = requirePart(recipe, 'tokenizer');
  assert(config.kind === 'file', 'shards have a tokenizer of their own');
  const path = resolve(baseDir, config.path);
  return { tokenizer: loadTokenizer(path), path };
}

/** The folder of a recipe's clean documents. */
async function makeDocuments(caller: DataCaller, options: TokenDataOptions): Promise<string> {
  const { recipe, context } = caller;
  const { documentsDir } = await caller.reusableStage('prepare', (onBegin) =>
    prepareCorpus(corpusConfigOf(requirePart(recipe, 'data')), {
      ...stageOptions(caller, options),
      dir: dataDirOf(context),
      cacheDir: sourcesDirOf(context),
      baseDir: options.baseDir ?? context.cwd,
      npm: context.npm,
      threads: caller.threads,
      store: context.storage,
      onBegin,
    }),
  );
  return documentsDir;
}

/** The tokenizer of documents, trained on them in the proportions of the mix that the model will be trained on. */
function makeTokenizer(
  caller: DataCaller,
  documentsDir: string,
  options: TokenDataOptions,
): Promise<Pick<TrainedTokenizer, 'tokenizer' | 'path'>> {
  const { recipe, context } = caller;
  const config = requirePart(recipe, 'tokenizer');
  if (config.kind === 'file') {
    return Promise.resolve(givenTokenizer(recipe, options.baseDir ?? context.cwd));
  }
  return caller.reusableStage('tokenizer', (onBegin) =>
    trainCorpusTokenizer(config, {
      ...stageOptions(caller, options),
      documentsDir,
      outDir: join(dataDirOf(context), 'tokenizers'),
      weights: mixOf(recipe),
      onBegin,
    }),
  );
}

/** The tokenizer of a recipe, which may have no `train` part: the domains count by their size then. */
export async function makeRecipeTokenizer(caller: DataCaller): Promise<Pick<TrainedTokenizer, 'tokenizer'>> {
  return makeTokenizer(caller, await makeDocuments(caller, {}), {});
}

function stageOptions(caller: DataCaller, { onlyFinished }: TokenDataOptions) {
  const { context, onProgress } = caller;
  const warn = (message: string) => caller.log(message);
  return { byKey: true, onlyFinished, signal: context.interrupted, onProgress, warn };
}

/** The shares of the domains over a whole run, which sum to 1; undefined without a curriculum: domains count by their size. */
export function mixOf({ data, train }: Pick<Recipe, 'data' | 'train'>): Mix | undefined {
  return data?.curriculum && train && new Curriculum(data.curriculum, train).meanMix();
}

/** domain -> where its training samples are */
export function trainStreamsOf(data: TokenData): Record<string, string | TextPlace> {
  return Object.fromEntries(Object.entries(data.domains).map(([name, { train }]) => [name, train]));
}

/** domain -> training samples */
export function samplesOf(data: TokenData): Record<string, number> {
  return Object.fromEntries(Object.entries(data.domains).map(([name, { samples }]) => [name, samples]));
}

function tokenizerOf(checkpoint: string): Pick<TrainedTokenizer, 'tokenizer' | 'path'> {
  const path = join(checkpoint, 'tokenizer.json');
  return { tokenizer: loadTokenizer(path), path };
}

/** Bytes of text a training token stands for in a mix; 0 where that is not known. */
export function bytesPerTokenOf(data: TokenData, mix: Mix = samplesOf(data)): number {
  let total = 0;
  let bytes = 0;
  for (const [name, { bytesPerToken }] of Object.entries(data.domains)) {
    const weight = mix[name] ?? 0;
    total += weight;
    bytes += weight * bytesPerToken;
  }
  return bytes / total;
}
