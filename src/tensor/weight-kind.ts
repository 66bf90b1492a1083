/** How a user asks for weights to be kept for inference. */
import type { PackedFormat } from './kernels.ts';

/** every bit; rounded to bf16; int8 with one scale per column and 256 rows. Activations are f32 with all of them. */
export const WEIGHT_KINDS = ['f32', 'bf16', 'int8'] as const;
export type WeightKind = (typeof WEIGHT_KINDS)[number];

/** The format of packed matrices for weights of this kind. */
export function packedFormatOf(kind: WeightKind): PackedFormat {
  return kind === 'f32' ? 'f32' : `${kind}-weights`;
}
