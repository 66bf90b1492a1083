/** Where the data of a run stands, whoever makes its order: our own, or MosaicML's. Kept in checkpoints as JSON. */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import { type MosaicState, mosaicStateSchema, requireMosaicState } from './mosaic/mosaic-state.ts';
import { requireSameData, type StreamingState, streamingStateSchema } from './streaming-state.ts';

export const dataStateSchema = z.union([streamingStateSchema, mosaicStateSchema]);

export type DataState = StreamingState | MosaicState;

/** Whether the state is of our own order. */
export function isStreamingState(state: DataState): state is StreamingState {
  return 'streams' in state;
}

/** @throws checkpoint_mismatch where `state` is of another order or other data than `own`, or no place in it */
export function requireSameOrder(state: DataState, own: DataState): void {
  if (isStreamingState(state) && isStreamingState(own)) {
    requireSameData(state, own);
    return;
  }
  if (!isStreamingState(own)) requireMosaicState(state);
  if (!isStreamingState(own) && !isStreamingState(state) && describe(own) === describe(state)) return;
  throw new DabarexError(
    'checkpoint_mismatch',
    `The checkpoint's place in the data is of another order: [seed, canonical nodes] ${describe(state)}, here ${describe(own)}. ` +
      'Continue with the recipe and the data it was made with.',
  );
}

function describe(state: DataState): string {
  if (isStreamingState(state)) return `${JSON.stringify([state.seed, state.canonicalNodes])} of an own order`;
  return `${JSON.stringify([state.shuffle_seed, state.num_canonical_nodes])} of MosaicML's`;
}
