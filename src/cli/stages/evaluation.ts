/** Held-out text of every domain: bits per byte of a model, beside what `xz -9e` makes of the very same bytes. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../base/index.ts';
import { bitsPerByte, evaluatePerplexity, xzSizeBytes } from '../../evaluate/index.ts';
import { completeModelConfig, hasShape, type Transformer } from '../../model/index.ts';
import type { DomainEvaluation } from '../../runs/index.ts';
import { type Batch, evaluationBatches, openTextPlace } from '../../stream/index.ts';
import type { Tokenizer, TokenizerConfig } from '../../tokenizer/index.ts';
import { formatTable } from '../output.ts';
import { type Recipe, requirePart } from '../recipe.ts';
import type { RunSession } from '../session.ts';
import { findResumePoint } from './checkpoints.ts';
import type { TokenData } from './data.ts';

const SEQUENCES = 16;
const EVALUATION_FILE = 'evaluation.json';

export type Evaluation = Readonly<Record<string, DomainEvaluation>>;

const storedSchema = z.object({
  step: z.number(),
  maxTokens: z.number().optional(),
  domains: z.record(
    z.string(),
    z.object({
      loss_nats: z.number(),
      bits_per_byte: z.number(),
      text_bytes: z.number().optional(),
      xz_bits_per_byte: z.number().optional(),
    }),
  ),
});

export interface EvaluateOptions {
  readonly sequenceLength: number;
  /** of every domain; default: all */
  readonly maxTokens?: number;
  /** as {@link packingWindowOf} a recipe */
  readonly packingWindow?: number;
  /** also compress what was evaluated, where `xz` can be run */
  readonly compareWithXz?: boolean;
  readonly onTokens?: (domain: string, tokens: number) => void;
  readonly signal?: AbortSignal;
}

/** Loss and bits per byte of every domain's held-out split; the domains done so far where `signal` was aborted. */
export async function evaluateDomains(
  model: Transformer,
  data: TokenData,
  options: EvaluateOptions,
): Promise<Record<string, DomainEvaluation>> {
  const { sequenceLength, maxTokens, packingWindow, onTokens, signal } = options;
  const { tokenizer } = data;
  const tally = new TextTally(tokenizer);
  const results: Record<string, DomainEvaluation> = {};
  for (const [domain, { heldout }] of Object.entries(data.domains)) {
    if (heldout === undefined) continue;
    const source = typeof heldout === 'string' ? heldout : await openTextPlace(heldout, tokenizer);
    const batches = evaluationBatches(source, {
      numSequences: SEQUENCES,
      sequenceLength,
      endOfText: tokenizer.endOfTextId,
      vocabSize: tokenizer.vocabSize,
      packingWindow,
    });
    tally.reset();
    const onBatch = (tokens: number) => onTokens?.(domain, tokens);
    const { lossNats, totalNats } = await evaluatePerplexity(model, tally.through(batches), {
      maxTokens,
      onBatch,
      signal,
    });
    if (typeof source !== 'string') source.close();
    if (signal?.aborted) break;
    const { leadBytes, textBytes } = tally;
    const result = {
      loss_nats: lossNats,
      bits_per_byte: bitsPerByte(totalNats, textBytes),
      text_bytes: textBytes,
    };
    const xz = options.compareWithXz ? await xzBitsPerByte(data, domain, leadBytes, textBytes) : {};
    results[domain] = { ...result, ...xz };
  }
  return results;
}

/** Counts the bytes of text that the targets of batches spell; special tokens spell nothing. */
class TextTally {
  /** of the very first token, which is nobody's target */
  leadBytes = 0;
  textBytes = 0;
  private readonly sizes: Int32Array;
  private begun = false;

  constructor(tokenizer: Tokenizer) {
    this.sizes = Int32Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.tokenBytes(id).length);
    for (const id of tokenizer.specialTokens.values()) this.sizes[id] = 0;
  }

  reset(): void {
    this.leadBytes = 0;
    this.textBytes = 0;
    this.begun = false;
  }

  /** The batches, counted as they are taken. */
  *through(batches: Iterable<Batch>): Generator<Batch> {
    for (const batch of batches) {
      if (!this.begun) this.leadBytes = this.sizes[batch.tokens[0]!]!;
      this.begun = true;
      for (const target of batch.targets) if (target >= 0) this.textBytes += this.sizes[target]!;
      yield batch;
    }
  }
}

/** The compressor's figure for the held-out bytes from `start`; nothing where no `xz` can be run. */
async function xzBitsPerByte(
  data: TokenData,
  domain: string,
  start: number,
  sizeBytes: number,
): Promise<Pick<DomainEvaluation, 'xz_bits_per_byte'>> {
  if (data.documentsDir === undefined) return {};
  const text = readFileSync(join(data.documentsDir, 'heldout', `${domain}.txt`));
  const evaluated = text.subarray(start, start + sizeBytes);
  const size = await xzSizeBytes(evaluated);
  return size === null ? {} : { xz_bits_per_byte: (8 * size) / evaluated.byteLength };
}

/** The stage `evaluate` of a run: its held-out text, once; reused when it was done for this step and as many tokens. */
export async function evaluateRun(
  session: RunSession,
  model: Transformer,
  data: TokenData,
  step: number,
): Promise<Evaluation> {
  const path = join(session.run.path, EVALUATION_FILE);
  const limit = session.recipe.evaluate?.maxTokens;
  const stored = readStored(path);
  if (stored?.step === step && stored.maxTokens === limit) return stored.domains;
  const maxTokens = limit ?? Number.POSITIVE_INFINITY;
  const total = Object.values(data.domains).reduce(
    (sum, { heldoutSamples }) => sum + Math.min(maxTokens, heldoutSamples * data.sequenceLength),
    0,
  );
  const done = new Map<string, number>();
  return session.stage('evaluate', {}, async () => {
    const domains = await evaluateDomains(model, data, {
      sequenceLength: data.sequenceLength,
      packingWindow: packingWindowOf(session.recipe),
      maxTokens,
      compareWithXz: true,
      signal: session.context.interrupted,
      onTokens: (domain, tokens) => {
        done.set(domain, tokens);
        const sum = [...done.values()].reduce((a, b) => a + b, 0);
        session.report({ stage: 'evaluate', done: Math.min(sum, total), total, unit: 'tokens' }, domain);
      },
    });
    session.context.interrupted.throwIfAborted();
    session.report({ stage: 'evaluate', done: total, total, unit: 'tokens' });
    writeFileAtomic(path, `${JSON.stringify({ step, maxTokens: limit, domains }, null, 2)}\n`);
    session.run.appendEvent({ type: 'evaluation', step, domains });
    return domains;
  });
}

/** Documents that evaluation packs among themselves; undefined where samples are whole sequences. */
export function packingWindowOf({ data }: Recipe): number | undefined {
  return data?.stream.packing === 'bestFit' ? data.stream.packingWindow : undefined;
}

/** The evaluation of a run that is trained and evaluated on this data already, without loading its model. */
export function finishedEvaluation(session: RunSession, data: TokenData): Evaluation | undefined {
  const resume = findResumePoint(session.run.path);
  if (!resume || resume.progress < 1 || resume.dataKey !== data.key) return undefined;
  const model = completeModelConfig(requirePart(session.recipe, 'model'), data.tokenizer.vocabSize);
  if (!hasShape(resume.dir, model)) return undefined;
  const stored = readStored(join(session.run.path, EVALUATION_FILE));
  const wanted = session.recipe.evaluate?.maxTokens;
  if (stored?.step !== resume.step || stored.maxTokens !== wanted) return undefined;
  session.log(`Training is complete: ${resume.dir}`);
  return stored.domains;
}

/** The evaluation kept in a run; undefined where there is none that can be read: it is then made again. */
function readStored(path: string): z.infer<typeof storedSchema> | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return storedSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/** The table for people. @param kind of the tokenizer: its loss is per character where every token is one */
export function evaluationTable(results: Evaluation, kind?: TokenizerConfig['kind']): string {
  const rows = Object.entries(results).map(([domain, result]) => [
    domain,
    result.bits_per_byte.toFixed(3),
    result.xz_bits_per_byte?.toFixed(3) ?? '-',
    result.loss_nats.toFixed(3),
    Math.exp(result.loss_nats).toFixed(2),
  ]);
  const loss = kind === 'char' ? 'nats/char' : 'nats/token';
  return formatTable(['held out', 'bits/byte', 'xz -9e', loss, 'perplexity'], rows);
}
