/** What `data.stream` of a recipe says about the order of training samples: a part of its schema (config.ts), with its rules. */
import { z } from 'zod';
import { MOSAIC_SHUFFLES, type MosaicShuffle } from './shuffles.ts';

const positive = z.number().int().positive();

const shareSchema = z.strictObject({
  /** relative to the other streams */
  proportion: z.number().positive().optional(),
  /** how often the stream is in an epoch */
  repeat: z.number().positive().optional(),
  /** how many of its samples an epoch takes */
  choose: positive.optional(),
});

/** Keys that only MosaicML's orders have. */
const MOSAIC_KEYS = [
  'batching',
  'partition',
  'sampling',
  'samplingGranularity',
  'epochSize',
  'shares',
] as const;

/** Keys of `data.stream`. */
export const orderShape = {
  /** block, full, none: our own, entered anywhere at once; the others: MosaicML Streaming's, bit for bit */
  shuffle: z.enum(['block', 'full', 'none', ...MOSAIC_SHUFFLES]).default('block'),
  /** samples shuffled among themselves; default 262144, for MosaicML's orders at least 4000000 / canonicalNodes */
  blockSize: positive.optional(),
  /** parts of the data that nodes can read without the shards of another part; default: 1, for py1s and py2s 64 a node, for the others of MosaicML the nodes */
  canonicalNodes: positive.optional(),
  /** seed of the order; default: the recipe's, for MosaicML's orders 9176 */
  seed: z
    .number()
    .int()
    .nonnegative()
    .max(2 ** 48)
    .optional(),
  /** how batches are made of the streams, in MosaicML's orders; default random */
  batching: z.enum(['random', 'stratified', 'perStream', 'devicePerStream']).optional(),
  /** how samples are dealt to nodes, in MosaicML's orders; default relaxed */
  partition: z.enum(['relaxed', 'orig']).optional(),
  /** whether what is left out of a stream changes with the epoch, in MosaicML's orders; default balanced */
  sampling: z.enum(['balanced', 'fixed']).optional(),
  /** samples of a shard taken together where some are left out, in MosaicML's orders; default 1 */
  samplingGranularity: positive.optional(),
  /** samples an epoch, in MosaicML's orders, where streams are by proportion or by size */
  epochSize: positive.optional(),
  /** what each domain gives to an epoch, in MosaicML's orders; default: each whole */
  shares: z.record(z.string(), shareSchema).optional(),
};

export type OrderConfig = z.infer<z.ZodObject<typeof orderShape>>;

/** What does not go together: keys of MosaicML's orders with a shuffle of our own, and packing with MosaicML's orders. */
export function checkOrder(
  config: OrderConfig & { readonly packing: 'none' | 'bestFit' },
  fail: (key: string, message: string) => void,
): void {
  if (config.shuffle === 'block' || config.shuffle === 'full') {
    for (const key of MOSAIC_KEYS) {
      if (config[key] === undefined) continue;
      fail(
        key,
        `belongs to MosaicML's orders; shuffle: ${config.shuffle} has none. Choose shuffle: py1e or leave it out`,
      );
    }
  } else if (isMosaicOrder(config) && config.packing !== 'none') {
    fail(
      'packing',
      "MosaicML's orders count whole sequences and cannot be packed. Choose shuffle: block, or packing: none",
    );
  }
}

/** Whether the order is MosaicML's: its shuffles, or none with a key that only its orders have. */
export function isMosaicOrder(config: OrderConfig): boolean {
  return isMosaicShuffle(config.shuffle) || MOSAIC_KEYS.some((key) => config[key] !== undefined);
}

export function isMosaicShuffle(shuffle: OrderConfig['shuffle']): shuffle is MosaicShuffle {
  return (MOSAIC_SHUFFLES as readonly string[]).includes(shuffle);
}
