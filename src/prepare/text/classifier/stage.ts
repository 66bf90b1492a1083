/**
 * Stage `classifier`: the probability that a text is of the good kind, from a logistic regression on hashed n-grams trained on labelled sources (good
 * ones against bad ones) as for GPT-3's and CCNet-style quality filters, or read from a saved model. Noted as `quality`; texts below `threshold` are
 * rejected. A share of the labelled documents, chosen by hash, is held out; accuracy and AUC on it stand in the manifest.
 * Limits: the model is as fair as its labels; labelled documents are in memory while it trains, `maxDocuments` at most.
 */
import { z } from 'zod';
import { DabarexError, Rng, streamOf } from '../../../base/index.ts';
import type { Document } from '../../documents.ts';
import { sourceConfigSchema } from '../../source-config.ts';
import { type TextStage, withNotes } from '../stage.ts';
import { featureExtractor } from './features.ts';
import {
  assess,
  type Classifier,
  decodeClassifier,
  type Example,
  encodeClassifier,
  score,
  scorer,
  trainClassifier,
} from './model.ts';

const schema = z
  .strictObject({
    /** sources of good text, and of bad text, to learn from */
    good: z.array(sourceConfigSchema).min(1).optional(),
    bad: z.array(sourceConfigSchema).min(1).optional(),
    /** or a model saved before: the stage's summary file */
    model: sourceConfigSchema.optional(),
    /** reject texts with a smaller probability of good; null: only note it */
    threshold: z.number().min(0).max(1).nullable().default(0.5),
    /** the note's name */
    note: z.string().min(1).default('quality'),
    heldOutFraction: z.number().gt(0).lt(0.9).default(0.2),
    /** 2^bits weights */
    bits: z.int().min(8).max(24).default(20),
    epochs: z.int().positive().max(1000).default(8),
    learningRate: z.number().positive().default(0.3),
    decay: z.number().nonnegative().default(1e-6),
    /** only the head of a longer text counts */
    maxCharacters: z.int().positive().default(20_000),
    /** labelled documents used of each source at most */
    maxDocuments: z.int().positive().default(50_000),
    seed: z.int().nonnegative().default(1),
  })
  .refine((config) => Boolean(config.model) !== Boolean(config.good && config.bad), {
    message: 'give good and bad sources to learn from, or a model, and not both',
  });
type ClassifierConfig = z.output<typeof schema>;

export const classifier: TextStage<ClassifierConfig> = {
  name: 'classifier',
  version: 1,
  schema,
  survey: {
    sources: ({ model, good, bad }) => (model ? [model] : [...good!, ...bad!]),
    async merge(_parts, config, { sources, signal }) {
      const model = config.model
        ? await readModel(config, sources[0]!)
        : await learn(config, sources, signal);
      return Buffer.from(encodeClassifier(model));
    },
    describe(summary) {
      const { report } = decodeClassifier(Buffer.from(summary).toString(), 'the summary');
      return {
        train_documents: report.trainDocuments,
        held_out_documents: report.heldOutDocuments,
        held_out_accuracy: report.accuracy,
        held_out_auc: report.auc,
      };
    },
  },
  create(config, summary) {
    const scoreOf = scorer(decodeClassifier(Buffer.from(summary!).toString(), 'the summary'));
    return (document) => {
      const value = Number(scoreOf(document.text).toFixed(4));
      if (config.threshold !== null && value < config.threshold) {
        return { reject: 'low_quality', detail: String(value) };
      }
      return { keep: withNotes(document, { [config.note]: value }) };
    };
  },
};

type Documents = Iterable<Document> | AsyncIterable<Document>;

async function readModel({ model }: ClassifierConfig, documents: Documents): Promise<Classifier> {
  let text = '';
  for await (const each of documents) text ||= each.text;
  return decodeClassifier(text, model!.url);
}

async function learn(
  config: ClassifierConfig,
  sources: readonly Documents[],
  signal?: AbortSignal,
): Promise<Classifier> {
  const featuresOf = featureExtractor(config);
  const parts: Record<'train' | 'heldOut', Example[]> = { train: [], heldOut: [] };
  const seen = new Set<string>();
  for (const [index, documents] of sources.entries()) {
    let taken = 0;
    for await (const { id, text } of documents) {
      signal?.throwIfAborted();
      if (taken === config.maxDocuments) break;
      // A text in both parts, or both classes, would be known by heart.
      if (seen.has(id)) continue;
      seen.add(id);
      taken++;
      const isHeldOut = new Rng(config.seed, streamOf(`held out ${id}`)).uniform() < config.heldOutFraction;
      const buckets = featuresOf(text).slice();
      parts[isHeldOut ? 'heldOut' : 'train'].push({ buckets, isGood: index < config.good!.length });
    }
  }
  requireBoth(parts.train, 'train on');
  requireBoth(parts.heldOut, 'hold out');
  const { weights, bias } = trainClassifier(parts.train, config);
  const scores = parts.heldOut.map(({ buckets }) => score(buckets, weights, bias));
  const report = {
    trainDocuments: parts.train.length,
    heldOutDocuments: parts.heldOut.length,
    ...assess(
      scores,
      parts.heldOut.map((each) => each.isGood),
    ),
  };
  return { bits: config.bits, maxCharacters: config.maxCharacters, bias, weights, report };
}

function requireBoth(examples: readonly Example[], purpose: string): void {
  const numGood = examples.filter((each) => each.isGood).length;
  const numBad = examples.length - numGood;
  if (numGood > 0 && numBad > 0) return;
  throw new DabarexError(
    'data_empty',
    `The classifier has ${numGood} good and ${numBad} bad documents to ${purpose}; it needs both. Give it more labelled text.`,
    { numGood, numBad },
  );
}
