/** What a recipe says about training. */
import { z } from 'zod';
import { optimizerConfigSchema, scheduleConfigSchema } from '../optim/index.ts';
import { durationSchema } from './duration.ts';

const positive = z.number().int().positive();

export const trainConfigSchema = z
  .strictObject({
    duration: durationSchema.refine((text) => !text.endsWith('dur'), {
      message: 'must be in step, tok, ep, s, min or h: a run is no share of itself',
    }),
    /** tokens a sequence */
    sequenceLength: positive,
    /** sequences an optimizer step */
    batchSequences: positive,
    /** sequences in memory at once; the step accumulates the gradients of batchSequences / microbatchSequences */
    microbatchSequences: positive.optional(),
    /** auto: bf16 products where the CPU has them */
    precision: z.enum(['auto', 'bf16', 'f32']).default('auto'),
    optimizer: optimizerConfigSchema.prefault({}),
    schedule: scheduleConfigSchema.prefault({}),
    /** global norm gradients are clipped to; 0: not */
    gradClip: z.number().nonnegative().default(1),
    logInterval: durationSchema.default('10step'),
    evalInterval: durationSchema.default('0.1dur'),
    /** tokens of every domain's held-out split used by evaluations during training; after it `evaluate.maxTokens` counts */
    evalTokens: positive.default(16_384),
    sampleInterval: durationSchema.default('0.1dur'),
    prompts: z.array(z.string()).default([]),
    checkpointInterval: durationSchema.default('0.1dur'),
    /** older checkpoints are removed */
    keepCheckpoints: positive.default(2),
  })
  .refine((config) => config.batchSequences % (config.microbatchSequences ?? config.batchSequences) === 0, {
    message: 'batchSequences must be a multiple of microbatchSequences',
    path: ['microbatchSequences'],
  });

export type TrainConfig = z.infer<typeof trainConfigSchema>;
