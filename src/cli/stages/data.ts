/** The stages before training: clean documents, the tokenizer, token shards. Each is reused when it is there already. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OnProgress, writeFileAtomic } from '../../base/index.ts';
import { latestCheckpoint } from '../../checkpoint/index.ts';
import {
  prepareCorpus,
  type ShardsManifest,
  type TrainedTokenizer,
  tokenizeCorpus,
  trainCorpusTokenizer,
} from '../../prepare/index.ts';
import type { Stage } from '../../runs/index.ts';
import { loadTokenizer, type Tokenizer } from '../../tokenizer/index.ts';
import { Curriculum, type Mix } from '../../train/index.ts';
import type { CliContext } from '../context.ts';
import { corpusConfigOf } from '../data-config.ts';
import { dataDirOf, sourcesDirOf } from '../folders.ts';
import { type Recipe, requirePart } from '../recipe.ts';
import type { RunSession } from '../session.ts';
import { dataKeyOf, otherDataError } from './checkpoints.ts';

export interface TokenData {
  readonly documentsDir: string;
  /** `train/DOMAIN` and `heldout/DOMAIN` are MDS data sets */
  readonly shardsDir: string;
  readonly tokenizer: Tokenizer;
  readonly manifest: ShardsManifest;
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
  /** a checkpoint that the data must be that of: its tokenizer is taken */
  readonly checkpoint?: string;
}

/**
 * The data of a run, whose directory gets the tokenizer. A run that has a checkpoint keeps its tokenizer: it was learned in
 * the proportions of the curriculum, of which phases to come may have changed since.
 * @throws checkpoint_mismatch as {@link makeTokenData}
 */
export function prepareTokenData(session: RunSession): Promise<TokenData> {
  const { path } = session.run;
  const onTokenizer = (file: string) => writeFileAtomic(join(path, 'tokenizer.json'), readFileSync(file));
  return makeTokenData(session, { onTokenizer, checkpoint: latestCheckpoint(path)?.dir });
}

/**
 * Documents, tokenizer and shards of a recipe, from the cache or made into it.
 * @throws checkpoint_mismatch where they are not those that `options.checkpoint` was trained on
 */
export async function makeTokenData(caller: DataCaller, options: TokenDataOptions = {}): Promise<TokenData> {
  const { recipe, context, threads } = caller;
  const { sequenceLength } = requirePart(recipe, 'train');
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
  return { documentsDir, tokenizer, shardsDir, manifest };
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
function makeTokenizer(caller: DataCaller, documentsDir: string, options: TokenDataOptions) {
  const { recipe, context } = caller;
  return caller.reusableStage('tokenizer', (onBegin) =>
    trainCorpusTokenizer(requirePart(recipe, 'tokenizer'), {
      ...stageOptions(caller, options),
      documentsDir,
      outDir: join(dataDirOf(context), 'tokenizers'),
      weights: mixOf(recipe),
      onBegin,
    }),
  );
}

/** The tokenizer of a recipe, which may have no `train` part: the domains count by their size then. */
export async function makeRecipeTokenizer(caller: DataCaller): Promise<TrainedTokenizer> {
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

/** domain -> training samples */
export function samplesOf(data: TokenData): Record<string, number> {
  const domains = Object.entries(data.manifest.domains);
  return Object.fromEntries(domains.map(([name, { train }]) => [name, train.samples]));
}

function tokenizerOf(checkpoint: string): Pick<TrainedTokenizer, 'tokenizer' | 'path'> {
  const path = join(checkpoint, 'tokenizer.json');
  return { tokenizer: loadTokenizer(path), path };
}

/** Bytes of text a training token stands for in a mix. */
export function bytesPerTokenOf(data: TokenData, mix: Mix = samplesOf(data)): number {
  let total = 0;
  let bytes = 0;
  for (const [name, { train }] of Object.entries(data.manifest.domains)) {
    const weight = mix[name] ?? 0;
    total += weight;
    bytes += weight * train.bytesPerToken;
  }
  return bytes / total;
}
