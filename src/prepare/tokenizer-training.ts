/**
 * The tokenizer of a corpus: byte-level BPE learned from a sample of the training documents, or one token per character.
 * Result: `tokenizer.json`, and `manifest.json`. Limit: training holds its thread until it ends.
 */
import { join } from 'node:path';
import { assert, type OnProgress } from '../base/index.ts';
import {
  loadTokenizer,
  saveTokenizer,
  type Tokenizer,
  type TokenizerConfig,
  trainBpe,
  trainChar,
} from '../tokenizer/index.ts';
import { readDocuments } from './documents.ts';
import { describeFile, type ManifestFile, stageKey } from './manifest.ts';
import { SPLITS } from './split.ts';
import { makeStage, type StageOptions, stageFolder } from './stage-folder.ts';
import { finishedCorpus, sampleTexts } from './text-sample.ts';

const CODE_VERSION = 1;

export interface TrainTokenizerOptions extends StageOptions {
  readonly documentsDir: string;
  /** the result goes here, or by key to a folder in it */
  readonly outDir: string;
  /** shares of the domains in the sample, as in the mix of training; default by size; nothing to a `char` tokenizer */
  readonly weights?: Readonly<Record<string, number>>;
  readonly onProgress?: OnProgress;
}

interface TokenizerManifest {
  readonly key: string;
  readonly codeVersion: number;
  readonly corpusKey: string;
  readonly config: TokenizerConfig;
  readonly weights: Readonly<Record<string, number>> | null;
  readonly files: readonly ManifestFile[];
}

export interface TrainedTokenizer {
  readonly tokenizer: Tokenizer;
  /** its tokenizer.json */
  readonly path: string;
  readonly reused: boolean;
}

/**
 * Trains the tokenizer of a prepared corpus, or finds it trained from the same documents and settings.
 * @throws documents_invalid, config_invalid (weights of no domain), tokenizer_vocab_size
 */
export async function trainCorpusTokenizer(
  config: TokenizerConfig,
  options: TrainTokenizerOptions,
): Promise<TrainedTokenizer> {
  const { documentsDir, outDir } = options;
  const corpusKey = finishedCorpus(documentsDir).key;
  const weights = config.kind === 'char' ? undefined : options.weights;
  const inputs = { codeVersion: CODE_VERSION, corpusKey, config, weights: weights ?? null };
  const key = stageKey(inputs);
  const folder = stageFolder(outDir, key, options);
  const { reused } = await makeStage<TokenizerManifest>(folder, key, options, async (temporary) => {
    saveTokenizer(join(temporary, 'tokenizer.json'), await train(config, options, weights));
    return { key, ...inputs, files: [describeFile(temporary, 'tokenizer.json')] };
  });
  const path = join(folder, 'tokenizer.json');
  return { tokenizer: loadTokenizer(path), path, reused };
}

async function train(
  config: TokenizerConfig,
  { documentsDir, onProgress }: TrainTokenizerOptions,
  weights: Readonly<Record<string, number>> | undefined,
): Promise<Tokenizer> {
  assert(config.kind !== 'file', 'a tokenizer that is there already is not trained');
  if (config.kind === 'char') return trainChar(await charactersOf(documentsDir));
  const texts = await sampleTexts({ documentsDir, trainBytes: config.trainBytes, weights });
  return trainBpe({ texts, vocabSize: config.vocabSize, onProgress });
}

async function charactersOf(documentsDir: string): Promise<Set<string>> {
  const seen = new Set<string>();
  for (const domain of Object.keys(finishedCorpus(documentsDir).domains)) {
    for (const split of SPLITS) {
      for await (const { text } of readDocuments(join(documentsDir, split, `${domain}.jsonl`))) {
        for (const character of text) seen.add(character);
      }
    }
  }
  return seen;
}
