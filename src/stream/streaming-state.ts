/** Where a streaming data set stands: a few numbers, the same for all ranks, kept in checkpoints as JSON. */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';

const count = z.number().int().nonnegative();

/** Of a checkpoint; {@link requireSameData} checks the rest. */
export const streamingStateSchema = z.strictObject({
  seed: z.number(),
  canonicalNodes: count.default(1),
  /** of packed documents: sequences taken of the window that is drawn from here */
  takenSequences: count.optional(),
  streams: z.record(
    z.string(),
    z.strictObject({
      numSamples: count,
      /** draws so far */
      drawn: count,
      /** share of the mix at hand, 0 to 1 */
      weight: z.number().min(0).max(1),
      /** what the stream was owed when that mix was set */
      carried: z.number(),
      /** draws under that mix */
      drawnInMix: count,
    }),
  ),
});

/** All that the next batch depends on; survives JSON. */
export type StreamingState = z.infer<typeof streamingStateSchema>;

/** @throws checkpoint_mismatch where `state` is of other data than `own`, or no place in it */
export function requireSameData(state: StreamingState, own: StreamingState): void {
  if (describe(own) !== describe(state)) {
    throw new DabarexError(
      'checkpoint_mismatch',
      `The checkpoint's place in the data is of other data: [seed, canonical nodes, streams] ${describe(state)}, here ${describe(own)}. ` +
        'Continue with the recipe and the data it was made with.',
    );
  }
  for (const [name, stream] of Object.entries(state.streams)) {
    const { drawn, drawnInMix, weight, carried } = stream;
    const isPlace = isCount(drawn) && isCount(drawnInMix) && drawnInMix <= drawn;
    if (isPlace && weight >= 0 && weight <= 1 && Number.isFinite(carried)) continue;
    throw new DabarexError(
      'checkpoint_mismatch',
      `The checkpoint's place in the data is none: "${name}" was drawn ${drawn} times, ${drawnInMix} of them in its mix, ` +
        `with weight ${weight}, owed ${carried}. Its state is damaged; continue from an older checkpoint.`,
      { name },
    );
  }
}

function describe(state: StreamingState): string {
  const streams = Object.entries(state.streams ?? {}).map(([name, { numSamples }]) => [name, numSamples]);
  return JSON.stringify([state.seed, state.canonicalNodes, streams]);
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
