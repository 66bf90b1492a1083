/** What the `data:` part of a recipe may say. */
import { z } from 'zod';
import { DEFAULT_PIPELINE, pipelineSchema } from './pipeline/registry.ts';
import { sourceConfigSchema } from './source-config.ts';

export const heldOutConfigSchema = z.discriminatedUnion('kind', [
  /** of each source the documents with the smallest hashes, up to this share of its bytes */
  z.strictObject({ kind: z.literal('hash'), fraction: z.number().gt(0).lt(0.5).default(0.02) }),
  /** the last part of each source by characters, as in character-level benchmarks */
  z.strictObject({ kind: z.literal('tail'), fraction: z.number().gt(0).lt(0.5).default(0.1) }),
]);

const MB = 1 << 20;
const UNITS: Readonly<Record<string, number>> = { MB, GB: 1024 * MB };
const LEAST_MEMORY_MB = 512;

/** An amount of memory: `512MB`, `2GB`. */
const memorySchema = z
  .string()
  .regex(/^\d+(\.\d+)?(MB|GB)$/, 'write an amount of memory as 512MB or 2GB')
  .refine((text) => memoryBytesOf(text) >= LEAST_MEMORY_MB * MB, `at least ${LEAST_MEMORY_MB}MB are needed`);

/** The bytes of an amount that the schema has accepted. */
export function memoryBytesOf(text: string): number {
  const [, amount, unit] = /^([\d.]+)(MB|GB)$/.exec(text) ?? [];
  return Number(amount) * UNITS[unit!]!;
}

export const prepareConfigSchema = z
  .strictObject({
    domains: z
      .record(
        z.string().regex(/^[a-z][a-z0-9_-]*$/),
        z.strictObject({ sources: z.array(sourceConfigSchema).min(1) }),
      )
      .refine((domains) => Object.keys(domains).length > 0, 'name at least one domain'),
    /** what is done to the text, in order, before it is split */
    pipeline: pipelineSchema.prefault(DEFAULT_PIPELINE),
    heldOut: heldOutConfigSchema.prefault({ kind: 'hash' }),
    /** about what preparation may use; never changes its result */
    memory: memorySchema.default('2GB'),
  })
  .superRefine(({ domains, pipeline }, context) => {
    for (const [at, entry] of pipeline.entries()) {
      for (const [i, name] of (entry.domains ?? []).entries()) {
        if (Object.hasOwn(domains, name)) continue;
        const message = `the data has no such domain; it has ${Object.keys(domains).join(', ')}`;
        context.addIssue({ code: 'custom', path: ['pipeline', at, 'domains', i], message });
      }
    }
  });

export type HeldOutConfig = z.output<typeof heldOutConfigSchema>;
export type PrepareConfig = z.output<typeof prepareConfigSchema>;
