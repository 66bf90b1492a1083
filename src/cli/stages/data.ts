/** The stages before training: clean documents, the tokenizer, token shards. Each is reused when it is there already. */
import { existsSync, readFileSync } from 'node:fs';
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
import type { Tokenizer } from '../../tokenizer/index.ts';
import type { TrainConfig } from '../../train/index.ts';
import type { CliContext } from '../context.ts';
import { dataDirOf, sourcesDirOf } from '../folders.ts';
import { type Recipe, requirePart } from '../recipe.ts';
import type { RunSession } from '../session.ts';
import { otherDataError } from './checkpoints.ts';

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
}

/** The data of a run, whose directory gets the tokenizer. @throws checkpoint_mismatch as {@link keepTokenizer} */
export function prepareTokenData(session: RunSession): Promise<TokenData> {
  return makeTokenData(session, { onTokenizer: (path) => keepTokenizer(session.run.path, path) });
}

/** Documents, tokenizer and shards of a recipe, from the cache or made into it. */
export async function makeTokenData(caller: DataCaller, options: TokenDataOptions = {}): Promise<TokenData> {
  const { recipe, context, threads } = caller;
  const { sequenceLength } = requirePart(recipe, 'train');
  const documentsDir = await makeDocuments(caller, options);
  const { tokenizer, path } = await makeTokenizer(caller, documentsDir, options);
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
    }),
  );
  return { documentsDir, tokenizer, shardsDir, manifest };
}

/** The folder of a recipe's clean documents. */
async function makeDocuments(caller: DataCaller, options: TokenDataOptions): Promise<string> {
  const { recipe, context } = caller;
  const { documentsDir } = await caller.reusableStage('prepare', (onBegin) =>
    prepareCorpus(requirePart(recipe, 'data'), {
      ...stageOptions(caller, options),
      dir: dataDirOf(context),
      cacheDir: sourcesDirOf(context),
      baseDir: options.baseDir ?? context.cwd,
      npm: context.npm,
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
      weights: recipe.train && mixOf(recipe.train),
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

/** The shares of the domains over a whole run, which sum to 1; undefined without phases: domains count by their size. */
export function mixOf({ phases }: Pick<TrainConfig, 'phases'>): Record<string, number> | undefined {
  if (!phases) return undefined;
  const mix: Record<string, number> = {};
  for (const { fraction, weights } of phases) {
    const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    for (const [name, weight] of Object.entries(weights)) {
      mix[name] = (mix[name] ?? 0) + (fraction * weight) / total;
    }
  }
  return mix;
}

/**
 * Puts the tokenizer into the run directory.
 * @throws checkpoint_mismatch where the run has checkpoints made with another, because its sources have changed
 */
function keepTokenizer(runDir: string, path: string): void {
  const target = join(runDir, 'tokenizer.json');
  const bytes = readFileSync(path);
  if (existsSync(target) && readFileSync(target).equals(bytes)) return;
  const checkpoint = latestCheckpoint(runDir);
  if (checkpoint) requireTokenizerOf(checkpoint.dir, path);
  writeFileAtomic(target, bytes);
}

/** @throws checkpoint_mismatch where the model in `dir` was not made with the tokenizer at `path` */
export function requireTokenizerOf(dir: string, path: string): void {
  if (!readFileSync(join(dir, 'tokenizer.json')).equals(readFileSync(path))) throw otherDataError(dir);
}

/** Bytes of text a training token stands for in a phase: domains by their weights in it, or by size without phases. */
export function bytesPerTokenOf(data: TokenData, { phases }: TrainConfig, phase: number): number {
  const domains = Object.entries(data.manifest.domains);
  const weightOf = (name: string, tokens: number) => (phases ? (phases[phase]?.weights[name] ?? 0) : tokens);
  let total = 0;
  let bytes = 0;
  for (const [name, { train: split }] of domains) {
    const weight = weightOf(name, split.tokens);
    total += weight;
    bytes += weight * split.bytesPerToken;
  }
  return bytes / total;
}
