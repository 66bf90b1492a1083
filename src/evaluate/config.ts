/** What a recipe says about its evaluation. */
import { z } from 'zod';

export const evaluateConfigSchema = z.strictObject({
  /** tokens of every domain's held-out split that are evaluated after training; absent: all */
  maxTokens: z.int().positive().optional(),
});

export type EvaluateConfig = z.infer<typeof evaluateConfigSchema>;
