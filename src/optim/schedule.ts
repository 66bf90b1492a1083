/** Learning rate over the run, as a share of the peak. */
import { z } from 'zod';

export const scheduleConfigSchema = z.strictObject({
  kind: z.enum(['constant', 'linear', 'cosine', 'wsd']).default('linear'),
  /** share of the run spent rising from 0 to the peak */
  warmupFraction: z.number().min(0).max(1).default(0.05),
  /** for `wsd` (warm up, stable, decay): share of the run at its end spent falling */
  decayFraction: z.number().min(0).max(1).default(0.2),
  /** share of the peak at the end */
  finalFraction: z.number().min(0).max(1).default(0),
});

export type ScheduleConfig = z.infer<typeof scheduleConfigSchema>;

/** Share of the peak learning rate at `progress` (0 at the start, 1 at the end) of the run. */
export function scheduleAt(config: ScheduleConfig, progress: number): number {
  const { kind, warmupFraction, decayFraction, finalFraction } = config;
  if (progress < warmupFraction) return progress / warmupFraction;
  if (kind === 'constant') return 1;
  const start = kind === 'wsd' ? Math.max(warmupFraction, 1 - decayFraction) : warmupFraction;
  if (progress <= start) return 1;
  const done = Math.min(1, (progress - start) / (1 - start));
  const shape = kind === 'cosine' ? (1 + Math.cos(Math.PI * done)) / 2 : 1 - done;
  return finalFraction + (1 - finalFraction) * shape;
}
