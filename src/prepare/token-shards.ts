/**
 * Clean documents to token shards: one MDS data set per split and domain, `{train,heldout}/DOMAIN/`, column `tokens`
 * (ndarray:int32), every sample of one length and sharing its first token with the last of the one before; documents are joined with the
 * end-of-text token after each; `lineage.bin` beside them; and `manifest.json`. The bytes written do not hang on the number of threads.
 * Limit: a split's last tokens that fill no sample are left out (`tokens` in the manifest counts them).
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DabarexError, type OnProgress } from '../base/index.ts';
import { type LineBlock, lineBlocks, linesIn, MdsWriter } from '../stream/index.ts';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.ts';
import type { CorpusManifest } from './corpus-report.ts';
import { parseDocument } from './documents.ts';
import { EncodePool } from './encode-pool.ts';
import type { EncodeAnswer } from './encode-worker.ts';
import { LINEAGE_FILE, LineageWriter } from './lineage.ts';
import { describeFile, type ManifestFile, stageKey } from './manifest.ts';
import { SampleCutter } from './sample-cutter.ts';
import { SPLITS, type Split } from './split.ts';
import { makeStage, type StageOptions, stageFolder } from './stage-folder.ts';
import { finishedCorpus } from './text-sample.ts';

const CODE_VERSION = 2;
/** Bytes of one job of a thread. */
const BLOCK_BYTES = 1 << 18;
/** A block this long is one long line, whose text is taken apart. */
const LONG_BLOCK_BYTES = 1 << 22;

export interface TokenizeOptions extends StageOptions {
  readonly documentsDir: string;
  /** a tokenizer.json */
  readonly tokenizerPath: string;
  /** tokens in a sample: the sequence length plus one */
  readonly sampleTokens: number;
  /** the result goes here, or by key to a folder in it */
  readonly outDir: string;
  readonly threads: number;
  readonly onProgress?: OnProgress;
  /** told of the result's key before it is looked for or made; throws to refuse it */
  readonly onKey?: (key: string) => void;
}

export interface TokenCount {
  readonly documents: number;
  /** all tokens, end-of-text tokens and the last ones that fill no sample included */
  readonly tokens: number;
  /** UTF-8 bytes of the text */
  readonly bytes: number;
  readonly bytesPerToken: number;
  readonly samples: number;
}

export interface ShardsManifest {
  readonly key: string;
  readonly codeVersion: number;
  readonly corpusKey: string;
  readonly tokenizerSha256: string;
  readonly sampleTokens: number;
  readonly domains: Readonly<Record<string, Readonly<Record<Split, TokenCount>>>>;
  readonly files: readonly ManifestFile[];
}

/**
 * Writes the token shards of a prepared corpus, or finds them written from the same documents and tokenizer.
 * @throws documents_invalid; data_too_small where a split fills no sample; what loadTokenizer throws
 */
export async function tokenizeCorpus(
  options: TokenizeOptions,
): Promise<{ shardsDir: string; manifest: ShardsManifest; reused: boolean }> {
  const { documentsDir, outDir, sampleTokens } = options;
  const corpus = finishedCorpus(documentsDir);
  const tokenizer = loadTokenizer(options.tokenizerPath);
  const tokenizerSha256 = createHash('sha256').update(readFileSync(options.tokenizerPath)).digest('hex');
  const inputs = { codeVersion: CODE_VERSION, corpusKey: corpus.key, tokenizerSha256, sampleTokens };
  const key = stageKey(inputs);
  options.onKey?.(key);
  const shardsDir = stageFolder(outDir, key, options);
  const made = await makeStage<ShardsManifest>(shardsDir, key, options, async (folder) => ({
    key,
    ...inputs,
    ...(await writeShards(corpus, folder, tokenizer, options)),
  }));
  return { shardsDir, ...made };
}

async function writeShards(
  corpus: CorpusManifest,
  folder: string,
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): Promise<Pick<ShardsManifest, 'domains' | 'files'>> {
  const names = Object.keys(corpus.domains);
  const total = names.reduce((sum, name) => {
    const { train, heldout } = corpus.domains[name]!;
    return sum + train.bytes + heldout.bytes;
  }, 0);
  const domains: Record<string, Record<Split, TokenCount>> = {};
  const files: ManifestFile[] = [];
  const pool = new EncodePool(options.tokenizerPath, tokenizer, options.threads);
  let done = 0;
  const onBytes = (bytes: number) => {
    done += bytes;
    options.onProgress?.({ stage: 'shards', done, total, unit: 'bytes' });
  };
  try {
    for (const name of names) {
      const counts: Partial<Record<Split, TokenCount>> = {};
      for (const split of SPLITS) {
        counts[split] = await writeSplit(pool, name, split, { ...options, outDir: folder }, onBytes);
        for (const file of readdirSync(join(folder, split, name)).sort()) {
          files.push(describeFile(folder, `${split}/${name}/${file}`));
        }
      }
      domains[name] = counts as Record<Split, TokenCount>;
    }
  } finally {
    await pool.close();
  }
  return { domains, files };
}

async function writeSplit(
  pool: EncodePool,
  domain: string,
  split: Split,
  { documentsDir, outDir, sampleTokens, signal }: TokenizeOptions,
  onBytes: (bytes: number) => void,
): Promise<TokenCount> {
  const dir = join(outDir, split, domain);
  const writer = new MdsWriter({ dir, columns: { tokens: 'ndarray:int32' }, hashes: ['sha256'] });
  const cutter = new SampleCutter(sampleTokens, (tokens) => writer.write({ tokens }));
  const lineage = new LineageWriter(join(dir, LINEAGE_FILE), pool.endOfTextId);
  const counts = { documents: 0, tokens: 0, bytes: 0 };
  const takeFirst = async (queue: Promise<EncodeAnswer>[]): Promise<void> => {
    const { tokens, documents, bytes } = await queue.shift()!;
    counts.documents += documents;
    counts.bytes += bytes;
    counts.tokens += tokens.length;
    cutter.push(tokens);
    lineage.addTokens(tokens);
    onBytes(bytes);
  };
  const path = join(documentsDir, split, `${domain}.jsonl`);
  const queue: Promise<EncodeAnswer>[] = [];
  for await (const block of lineBlocks(path, { blockBytes: BLOCK_BYTES, signal })) {
    lineage.addLines(block.bytes);
    queue.push(...encodeBlock(pool, block, path));
    while (queue.length > 3 * pool.threads) await takeFirst(queue);
  }
  while (queue.length > 0) await takeFirst(queue);
  lineage.finish();
  if (cutter.numSamples === 0) throw tooSmall(domain, split, counts.tokens, sampleTokens);
  writer.finish();
  return { ...counts, bytesPerToken: counts.bytes / counts.tokens, samples: cutter.numSamples };
}

function encodeBlock(pool: EncodePool, block: LineBlock, path: string): Promise<EncodeAnswer>[] {
  if (block.bytes.length < LONG_BLOCK_BYTES) return [pool.encodeLines(block, path)];
  const answers: Promise<EncodeAnswer>[] = [];
  const lines = Buffer.from(block.bytes.buffer);
  for (const { start, end } of linesIn(lines)) {
    const place = { startByte: block.startByte + start };
    answers.push(...pool.encodeText(parseDocument(lines.toString('utf8', start, end), path, place).text));
  }
  return answers;
}

function tooSmall(domain: string, split: Split, tokens: number, sampleTokens: number): DabarexError {
  return new DabarexError(
    'data_too_small',
    `The ${split} part of "${domain}" has ${tokens} tokens, fewer than one sample of ${sampleTokens}. ` +
      'Add text to the domain, hold out a larger fraction, or shorten the sequence length.',
    { domain, split, tokens, sampleTokens },
  );
}
