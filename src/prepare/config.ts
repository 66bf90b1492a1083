/** What the `data:` part of a recipe may say. */
import { z } from 'zod';
import { sourceConfigSchema } from './source-config.ts';

export const heldOutConfigSchema = z.discriminatedUnion('kind', [
  /** of each source the documents with the smallest hashes, up to this share of its bytes */
  z.strictObject({ kind: z.literal('hash'), fraction: z.number().gt(0).lt(0.5).default(0.02) }),
  /** the last part of each source by characters, as in character-level benchmarks */
  z.strictObject({ kind: z.literal('tail'), fraction: z.number().gt(0).lt(0.5).default(0.1) }),
]);

export const filterConfigSchema = z.strictObject({
  /** a `code` file with a longer line, in characters, is taken for minified */
  maxLineLength: z.int().positive().default(2000),
  /** a shorter document, in UTF-8 bytes of trimmed text, is dropped */
  minDocumentBytes: z.int().nonnegative().default(64),
  /** drop a document whose text was seen before, in any domain */
  duplicates: z.boolean().default(true),
  /** cut licence comments off the head of code files */
  licences: z.boolean().default(true),
});

export const prepareConfigSchema = z.strictObject({
  domains: z
    .record(
      z.string().regex(/^[a-z][a-z0-9_-]*$/),
      z.strictObject({ sources: z.array(sourceConfigSchema).min(1) }),
    )
    .refine((domains) => Object.keys(domains).length > 0, 'name at least one domain'),
  heldOut: heldOutConfigSchema.prefault({ kind: 'hash' }),
  filters: filterConfigSchema.prefault({}),
});

export type HeldOutConfig = z.output<typeof heldOutConfigSchema>;
export type FilterConfig = z.output<typeof filterConfigSchema>;
export type PrepareConfig = z.output<typeof prepareConfigSchema>;
