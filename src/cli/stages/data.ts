/** The stages before training: clean documents, the tokenizer, token shards. Each is reused when it is there already. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../base/index.ts';
import { latestCheckpoint } from '../../checkpoint/index.ts';
import {
  prepareCorpus,
  type ShardsManifest,
  tokenizeCorpus,
  trainCorpusTokenizer,
} from '../../prepare/index.ts';
import type { Tokenizer } from '../../tokenizer/index.ts';
import type { TrainConfig } from '../../train/index.ts';
import { dataDirOf, sourcesDirOf } from '../folders.ts';
import { requirePart } from '../recipe.ts';
import type { RunSession } from '../session.ts';
import { otherDataError } from './checkpoints.ts';

export interface TokenData {
  readonly documentsDir: string;
  /** `train/DOMAIN` and `heldout/DOMAIN` are MDS data sets */
  readonly shardsDir: string;
  readonly tokenizer: Tokenizer;
  readonly manifest: ShardsManifest;
}

export async function prepareTokenData(session: RunSession): Promise<TokenData> {
  const { recipe, context, onProgress, threads } = session;
  const signal = context.interrupted;
  const dir = dataDirOf(recipe, context);
  const { sequenceLength } = requirePart(recipe, 'train');
  const { documentsDir } = await session.stage('prepare', {}, () =>
    prepareCorpus(requirePart(recipe, 'data'), {
      dir,
      cacheDir: sourcesDirOf(context),
      baseDir: context.cwd,
      npm: context.npm,
      signal,
      onProgress,
      warn: (message) => session.log(message),
    }),
  );
  const outDir = join(dir, 'tokenizer');
  const { tokenizer, path } = await session.stage('tokenizer', {}, () =>
    trainCorpusTokenizer(requirePart(recipe, 'tokenizer'), { documentsDir, outDir, onProgress }),
  );
  signal.throwIfAborted();
  keepTokenizer(session.run.path, path);
  const shards = await session.stage('shards', {}, () =>
    tokenizeCorpus({
      documentsDir,
      tokenizerPath: path,
      sampleTokens: sequenceLength + 1,
      outDir: join(dir, `shards-${sequenceLength}`),
      threads,
      onProgress,
      signal,
    }),
  );
  return { documentsDir, tokenizer, shardsDir: shards.shardsDir, manifest: shards.manifest };
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
  if (checkpoint && !readFileSync(join(checkpoint.dir, 'tokenizer.json')).equals(bytes)) {
    throw otherDataError(checkpoint.dir);
  }
  writeFileAtomic(target, bytes);
}

/** Bytes of text a training token stands for, over the whole run: domains by their weights in every phase. */
export function meanBytesPerToken(data: TokenData, train: TrainConfig): number {
  const domains = Object.entries(data.manifest.domains);
  const bySize = Object.fromEntries(domains.map(([name, { train: split }]) => [name, split.tokens]));
  const phases = train.phases ?? [{ fraction: 1, weights: bySize }];
  let bytes = 0;
  for (const { fraction, weights } of phases) {
    const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    for (const [name, { train: split }] of domains) {
      bytes += ((fraction * (weights[name] ?? 0)) / total) * split.bytesPerToken;
    }
  }
  return bytes;
}
