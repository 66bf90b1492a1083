/** Held-out text of every domain: bits per byte of a model, beside what `xz -9e` makes of the same bytes. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../base/index.ts';
import { evaluatePerplexity, xzSizeBytes } from '../../evaluate/index.ts';
import { completeModelConfig, hasShape, type Transformer } from '../../model/index.ts';
import type { DomainEvaluation } from '../../runs/index.ts';
import { evaluationBatches } from '../../stream/index.ts';
import { formatTable } from '../output.ts';
import { requirePart } from '../recipe.ts';
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
      xz_bits_per_byte: z.number().optional(),
    }),
  ),
});

export interface EvaluateOptions {
  readonly sequenceLength: number;
  /** of every domain; default: all */
  readonly maxTokens?: number;
  readonly onTokens?: (domain: string, tokens: number) => void;
  readonly signal?: AbortSignal;
}

/** Loss and bits per byte of every domain's held-out split; without xz. */
export async function evaluateDomains(
  model: Transformer,
  data: TokenData,
  options: EvaluateOptions,
): Promise<Record<string, DomainEvaluation>> {
  const { sequenceLength, maxTokens, onTokens, signal } = options;
  const results: Record<string, DomainEvaluation> = {};
  for (const [domain, { heldout }] of Object.entries(data.manifest.domains)) {
    const batches = evaluationBatches(join(data.shardsDir, 'heldout', domain), {
      numSequences: SEQUENCES,
      sequenceLength,
      endOfText: data.tokenizer.endOfTextId,
    });
    const onBatch = (tokens: number) => onTokens?.(domain, tokens);
    const { lossNats } = await evaluatePerplexity(model, batches, { maxTokens, onBatch, signal });
    if (signal?.aborted) break;
    results[domain] = { loss_nats: lossNats, bits_per_byte: lossNats / Math.LN2 / heldout.bytesPerToken };
  }
  return results;
}

/** Adds the compressor's figure to every domain where `xz` can be run. */
export async function compareWithXz(results: Evaluation, data: TokenData): Promise<Evaluation> {
  const compared: Record<string, DomainEvaluation> = {};
  for (const [domain, result] of Object.entries(results)) {
    const text = readFileSync(join(data.documentsDir, 'heldout', `${domain}.txt`));
    const size = await xzSizeBytes(text);
    compared[domain] = size === null ? result : { ...result, xz_bits_per_byte: (8 * size) / text.byteLength };
  }
  return compared;
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
  const total = Object.values(data.manifest.domains).reduce(
    (sum, { heldout }) => sum + Math.min(maxTokens, heldout.samples * (data.manifest.sampleTokens - 1)),
    0,
  );
  const done = new Map<string, number>();
  return session.stage('evaluate', {}, async () => {
    const results = await evaluateDomains(model, data, {
      sequenceLength: data.manifest.sampleTokens - 1,
      maxTokens,
      signal: session.context.interrupted,
      onTokens: (domain, tokens) => {
        done.set(domain, tokens);
        const sum = [...done.values()].reduce((a, b) => a + b, 0);
        session.report({ stage: 'evaluate', done: Math.min(sum, total), total, unit: 'tokens' }, domain);
      },
    });
    session.context.interrupted.throwIfAborted();
    session.report({ stage: 'evaluate', done: total, total, unit: 'tokens' });
    const domains = await compareWithXz(results, data);
    writeFileAtomic(path, `${JSON.stringify({ step, maxTokens: limit, domains }, null, 2)}\n`);
    session.run.appendEvent({ type: 'evaluation', step, domains });
    return domains;
  });
}

/** The evaluation of a run that is trained and evaluated on this data already, without loading its model. */
export function finishedEvaluation(session: RunSession, data: TokenData): Evaluation | undefined {
  const resume = findResumePoint(session.run.path);
  if (!resume || resume.progress < 1 || resume.dataKey !== data.manifest.key) return undefined;
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

/** The table for people. */
export function evaluationTable(results: Evaluation): string {
  const rows = Object.entries(results).map(([domain, result]) => [
    domain,
    result.bits_per_byte.toFixed(3),
    result.xz_bits_per_byte?.toFixed(3) ?? '-',
    result.loss_nats.toFixed(3),
    Math.exp(result.loss_nats).toFixed(2),
  ]);
  return formatTable(['held out', 'bits/byte', 'xz -9e', 'nats/token', 'perplexity'], rows);
}
