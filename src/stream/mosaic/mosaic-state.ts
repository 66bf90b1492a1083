/** Where a {@link MosaicDataset} stands: the keys of MosaicML's `state_dict`. */
import { z } from 'zod';
import { DabarexError } from '../../base/index.ts';

const count = z.number().int().nonnegative();

export const mosaicStateSchema = z.strictObject({
  epoch: count,
  /** of all ranks */
  sample_in_epoch: count,
  num_canonical_nodes: count.min(1),
  shuffle_seed: count,
  initial_physical_nodes: count.min(1).nullable().optional(),
  /** weights that were set during the run; not MosaicML's */
  mix: z.record(z.string(), z.number()).optional(),
});

export type MosaicState = z.infer<typeof mosaicStateSchema>;

/** @throws checkpoint_mismatch where it is none */
export function requireMosaicState(state: unknown): asserts state is MosaicState {
  const { error } = mosaicStateSchema.safeParse(state);
  if (!error) return;
  const issue = error.issues[0]!;
  throw new DabarexError(
    'checkpoint_mismatch',
    `The checkpoint's place in the data is none of MosaicML's order: ${issue.path.join('.')}: ${issue.message}. ` +
      'Continue with the order it was made with.',
  );
}
