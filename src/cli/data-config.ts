/** The `data` part of a recipe: what preparing, streaming and training each say of it, in one schema. */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import { type PrepareConfig, prepareConfigSchema } from '../prepare/index.ts';
import { Curriculum, curriculumSchema, type TrainConfig } from '../train/index.ts';

export const dataConfigSchema = z.strictObject({
  ...prepareConfigSchema.shape,
  /** which mix of domains when; absent: all domains by size */
  curriculum: curriculumSchema.optional(),
});

export type DataConfig = z.output<typeof dataConfigSchema>;

/** The part that preparing text is about, and nothing else: its result's key is of this. */
export function corpusConfigOf(data: DataConfig): PrepareConfig {
  const { curriculum: _, ...config } = data;
  return config;
}

/** Names of the domains that a recipe's data has. */
export function domainsOf(data: DataConfig): string[] {
  return Object.keys(data.domains);
}

/** What the schemas cannot see of one part alone: domains that the curriculum names, durations that add up. */
export function checkCurriculum(
  data: DataConfig | undefined,
  train: TrainConfig | undefined,
  fail: (path: (string | number)[], message: string) => void,
): void {
  if (!data?.curriculum) return;
  const domains = domainsOf(data);
  for (const [i, { weights }] of data.curriculum.entries()) {
    for (const name of Object.keys(weights)) {
      if (domains.includes(name)) continue;
      fail(
        ['data', 'curriculum', i, 'weights', name],
        `the data has no such domain; it has ${domains.join(', ')}`,
      );
    }
  }
  if (!train) return;
  try {
    new Curriculum(data.curriculum, train, '');
  } catch (error) {
    if (!(error instanceof DabarexError)) throw error;
    const path = String(error.fields.path ?? '')
      .split('.')
      .filter(Boolean);
    fail(['data', 'curriculum', ...path], error.message.replace(/^\S*: /, '').replace(/\.$/, ''));
  }
}
