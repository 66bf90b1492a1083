/**
 * How well a model predicts held-out text: cross-entropy over tokens, and bits per byte, which compares across
 * tokenizers: total nats / ln 2 / UTF-8 bytes of the text.
 */
import { Turns } from '../base/index.ts';
import type { TokenRows, Transformer } from '../model/index.ts';
import { Tape } from '../tensor/index.ts';

export interface PerplexityResult {
  /** mean over counted tokens */
  readonly lossNats: number;
  readonly totalNats: number;
  /** tokens with a target */
  readonly tokens: number;
}

export interface PerplexityOptions {
  /** stop after about so many tokens; default: all batches */
  readonly maxTokens?: number;
  readonly onBatch?: (tokens: number) => void;
  readonly signal?: AbortSignal;
}

/** Runs the model over `batches` without gradients. The event loop turns meanwhile. */
export async function evaluatePerplexity(
  model: Transformer,
  batches: Iterable<TokenRows>,
  options: PerplexityOptions = {},
): Promise<PerplexityResult> {
  const tape = new Tape(model.kernels, { recording: false });
  const turns = new Turns();
  let totalNats = 0;
  let tokens = 0;
  for (const batch of batches) {
    const { losses } = await turns.run(model.forwardInParts(tape, batch, { normalizer: 1 }));
    for (let r = 0; r < losses.length; r++) {
      if (batch.targets[r]! < 0) continue;
      totalNats += losses[r]!;
      tokens++;
    }
    tape.reset();
    options.onBatch?.(tokens);
    await turns.turn();
    if (options.signal?.aborted || tokens >= (options.maxTokens ?? Number.POSITIVE_INFINITY)) break;
  }
  return { lossNats: tokens > 0 ? totalNats / tokens : Number.NaN, totalNats, tokens };
}

/** Bits per byte of text that took `nats` to predict. */
export function bitsPerByte(nats: number, bytes: number): number {
  return nats / Math.LN2 / bytes;
}
