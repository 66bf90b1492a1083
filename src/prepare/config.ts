/** What the `data:` part of a recipe may say. */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import { algorithmOf, globMatcher, parseSourceUrl } from '../storage/index.ts';

export const FORMATS = ['text', 'code', 'markdown', 'mdx', 'json-text', 'wordnet', 'stdlib-readme'] as const;
export type Format = (typeof FORMATS)[number];

const globSchema = z.string().superRefine(accepted((glob) => globMatcher(glob)));

export const sourceConfigSchema = z.strictObject({
  /** `npm:name@1.2.3#glob`, `file:path#glob`, a path, `s3://bucket/prefix#glob`, or `https://...` */
  url: z
    .string()
    .min(1)
    .superRefine(accepted((url) => globMatcher(parseSourceUrl(url).glob ?? '**'))),
  /** `sha512-BASE64`; a source without it is accepted as it is and its hash written into the manifest */
  integrity: z.string().superRefine(accepted(algorithmOf)).optional(),
  format: z.enum(FORMATS).default('text'),
  /** globs on paths within the source */
  exclude: z.array(globSchema).default([]),
  /** keep documents, chosen by their hash, up to about this many bytes of text */
  limitBytes: z.int().positive().optional(),
});

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

export type SourceConfig = z.output<typeof sourceConfigSchema>;
export type HeldOutConfig = z.output<typeof heldOutConfigSchema>;
export type FilterConfig = z.output<typeof filterConfigSchema>;
export type PrepareConfig = z.output<typeof prepareConfigSchema>;

/** A check that `parse` can read a text; what it throws with a code is the issue. */
function accepted(parse: (text: string) => unknown): (text: string, context: z.RefinementCtx) => void {
  return (text, context) => {
    try {
      parse(text);
    } catch (error) {
      if (!(error instanceof DabarexError)) throw error;
      context.addIssue({ code: 'custom', message: error.message.replace(/\.$/, '') });
    }
  };
}
