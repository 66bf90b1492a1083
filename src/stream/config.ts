/** What a recipe says about reading data: `data.stream`. */
import { z } from 'zod';
import { checkOrder, orderShape } from './mosaic/order-config.ts';

const SIZE = /^(\d+(?:\.\d+)?)\s*(k|M|G|T)?B$/;
const FACTORS = { k: 1e3, M: 1e6, G: 1e9, T: 1e12 } as const;

export const streamConfigSchema = z
  .strictObject({
    ...orderShape,
    /** what shards of remote streams may take on disk: `10GB`; absent: no limit */
    cacheLimit: z
      .string()
      .regex(SIZE, { message: 'write a number and a unit: 500MB, 10GB or 2TB' })
      .optional(),
    /** samples, beyond the batch at hand, whose shards are fetched ahead */
    predownload: z.int().nonnegative().default(4096),
    /** how samples become sequences: as they are, or packed by best fit where they are documents of varying length */
    packing: z.enum(['none', 'bestFit']).default('none'),
    /** documents that are packed among themselves */
    packingWindow: z.int().min(1).max(1_000_000).default(1024),
  })
  .superRefine((config, context) =>
    checkOrder(config, (key, message) => context.addIssue({ code: 'custom', path: [key], message })),
  );

export type StreamConfig = z.output<typeof streamConfigSchema>;

/** Bytes of a size as a recipe has it; what cannot be counted where there is none. */
export function cacheLimitBytes({ cacheLimit }: Pick<StreamConfig, 'cacheLimit'>): number {
  const match = cacheLimit === undefined ? null : SIZE.exec(cacheLimit);
  if (!match) return Number.MAX_SAFE_INTEGER;
  const factor = match[2] as keyof typeof FACTORS | undefined;
  return Math.floor(Number(match[1]) * (factor ? FACTORS[factor] : 1));
}
