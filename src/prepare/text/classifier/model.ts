/**
 * Logistic regression on hashed features, trained with AdaGrad (Duchi et al. 2011, JMLR 12), and its file: JSON with the weights in base64, so
 * that a model made once can be a source of another pipeline. Training is the same to the bit every time: examples
 * are shuffled by a seeded generator and walked one after the other.
 */
import { z } from 'zod';
import { DabarexError, Rng } from '../../../base/index.ts';
import { featureExtractor } from './features.ts';

const FORMAT = 'dabarex text classifier';

const reportSchema = z.object({
  trainDocuments: z.number(),
  heldOutDocuments: z.number(),
  accuracy: z.number(),
  auc: z.number(),
});
/** How the model does on held-out documents; the accuracy is that of the threshold 0.5. */
export type ClassifierReport = z.output<typeof reportSchema>;

const modelSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(1),
  bits: z.int().min(8).max(24),
  maxCharacters: z.int().positive(),
  bias: z.number(),
  report: reportSchema,
  weights: z.base64(),
});

export interface Classifier {
  readonly bits: number;
  readonly maxCharacters: number;
  readonly bias: number;
  readonly weights: Float32Array;
  readonly report: ClassifierReport;
}

export interface Example {
  readonly buckets: Uint32Array;
  readonly isGood: boolean;
}

export interface TrainingOptions {
  readonly bits: number;
  readonly epochs: number;
  readonly learningRate: number;
  /** L2 penalty for each update of a weight */
  readonly decay: number;
  readonly seed: number;
}

/** Weights and bias; the two classes weigh the same whatever their sizes. */
export function trainClassifier(
  examples: readonly Example[],
  { bits, epochs, learningRate, decay, seed }: TrainingOptions,
): { weights: Float32Array; bias: number } {
  const weights = new Float32Array(2 ** bits);
  const squares = new Float32Array(2 ** bits).fill(1e-6);
  let [bias, biasSquares] = [0, 1e-6];
  const numGood = examples.filter((each) => each.isGood).length;
  const importance = [examples.length / 2 / (examples.length - numGood), examples.length / 2 / numGood];
  const order = Uint32Array.from(examples, (_, index) => index);
  const rng = new Rng(seed);
  for (let epoch = 0; epoch < epochs; epoch++) {
    shuffle(order, rng);
    for (const index of order) {
      const { buckets, isGood } = examples[index]!;
      if (buckets.length === 0) continue;
      const value = 1 / Math.sqrt(buckets.length);
      const error = (score(buckets, weights, bias) - Number(isGood)) * importance[Number(isGood)]!;
      for (const bucket of buckets) {
        const gradient = error * value + decay * weights[bucket]!;
        squares[bucket]! += gradient * gradient;
        weights[bucket]! -= (learningRate * gradient) / Math.sqrt(squares[bucket]!);
      }
      biasSquares += error * error;
      bias -= (learningRate * error) / Math.sqrt(biasSquares);
    }
  }
  return { weights, bias };
}

/** The probability of good. */
export function score(buckets: Uint32Array, weights: Float32Array, bias: number): number {
  let sum = 0;
  for (const bucket of buckets) sum += weights[bucket]!;
  return 1 / (1 + Math.exp(-(bias + (buckets.length === 0 ? 0 : sum / Math.sqrt(buckets.length)))));
}

/** Accuracy at 0.5, and the area under the ROC curve (the chance that a good example scores above a bad one, ties half). */
export function assess(
  scores: readonly number[],
  isGood: readonly boolean[],
): { accuracy: number; auc: number } {
  const correct = scores.filter((each, index) => each >= 0.5 === isGood[index]).length;
  const order = scores.map((_, index) => index).sort((a, b) => scores[a]! - scores[b]!);
  let [ranks, numGood] = [0, 0];
  for (let i = 0; i < order.length; ) {
    let end = i;
    while (end < order.length && scores[order[end]!] === scores[order[i]!]) end++;
    for (let tie = i; tie < end; tie++) {
      if (!isGood[order[tie]!]) continue;
      numGood++;
      ranks += (i + end + 1) / 2;
    }
    i = end;
  }
  const pairs = numGood * (scores.length - numGood);
  const auc = pairs === 0 ? Number.NaN : (ranks - (numGood * (numGood + 1)) / 2) / pairs;
  return { accuracy: correct / scores.length, auc };
}

/** A function from texts to the probability of good. */
export function scorer({ bits, maxCharacters, weights, bias }: Classifier): (text: string) => number {
  const featuresOf = featureExtractor({ bits, maxCharacters });
  return (text) => score(featuresOf(text), weights, bias);
}

export function encodeClassifier({ weights, ...rest }: Classifier): string {
  const bytes = Buffer.from(weights.buffer, weights.byteOffset, weights.byteLength);
  return `${JSON.stringify({ format: FORMAT, version: 1, ...rest, weights: bytes.toString('base64') })}\n`;
}

/** @throws documents_invalid where the text is no such model */
export function decodeClassifier(text: string, where: string): Classifier {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    // told below
  }
  const parsed = modelSchema.safeParse(raw);
  const bytes = Buffer.from(parsed.data?.weights ?? '', 'base64');
  const { data } = parsed;
  if (!data || bytes.length !== 4 * 2 ** data.bits) {
    throw new DabarexError(
      'documents_invalid',
      `${where} is no text classifier of dabarex, or not all of it. Give the file that a classifier stage saved, or labelled sources to train one.`,
      { where },
    );
  }
  const weights = new Float32Array(2 ** data.bits);
  Buffer.from(weights.buffer).set(bytes);
  return { ...data, weights };
}

function shuffle(order: Uint32Array, rng: Rng): void {
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(rng.uniform() * (i + 1));
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
}
