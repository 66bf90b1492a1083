/**
 * The tokenizer of a corpus: byte-level BPE learned from a sample of the training documents, or one token per character.
 * Result: `OUT/tokenizer.json`, and `manifest.json` last. Limit: training holds its thread until it ends.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { OnProgress } from '../base/index.ts';
import {
  loadTokenizer,
  saveTokenizer,
  type Tokenizer,
  type TokenizerConfig,
  trainBpe,
  trainChar,
} from '../tokenizer/index.ts';
import { readDocuments } from './documents.ts';
import { describeFile, type ManifestFile, stageKey, trustedManifest, writeManifest } from './manifest.ts';
import { SPLITS } from './split.ts';
import { finishedCorpus, sampleTexts } from './text-sample.ts';

const CODE_VERSION = 1;

export interface TrainTokenizerOptions {
  readonly documentsDir: string;
  readonly outDir: string;
  /** shares of the domains in the sample; default by size */
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
  const path = join(outDir, 'tokenizer.json');
  const corpusKey = finishedCorpus(documentsDir).key;
  const inputs = { codeVersion: CODE_VERSION, corpusKey, config, weights: options.weights ?? null };
  const key = stageKey(inputs);
  if (trustedManifest<TokenizerManifest>(outDir, key)) {
    return { tokenizer: loadTokenizer(path), path, reused: true };
  }
  rmSync(join(outDir, 'manifest.json'), { force: true });
  const tokenizer =
    config.kind === 'char'
      ? trainChar(await charactersOf(documentsDir))
      : trainBpe({
          texts: await sampleTexts({ documentsDir, trainBytes: config.trainBytes, weights: options.weights }),
          vocabSize: config.vocabSize,
          onProgress: options.onProgress,
        });
  saveTokenizer(path, tokenizer);
  const manifest: TokenizerManifest = { key, ...inputs, files: [describeFile(outDir, 'tokenizer.json')] };
  writeManifest(outDir, manifest);
  return { tokenizer, path, reused: false };
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
