/** A source of text as a recipe names it, and the formats it may be in. */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import { algorithmOf, globMatcher, parseSourceUrl } from '../storage/index.ts';

/** What a whole file, or the text of a row, may be. */
export const TEXT_FORMATS = [
  'text',
  'code',
  'markdown',
  'mdx',
  'json-text',
  'wordnet',
  'stdlib-readme',
  'html',
  'email',
  'latex',
] as const;
export type TextFormat = (typeof TEXT_FORMATS)[number];
/** Files of many rows, a document each. */
export const ROW_FORMATS = ['jsonl', 'parquet'] as const;
export const FORMATS = [...TEXT_FORMATS, ...ROW_FORMATS] as const;
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
  /** of `jsonl` and `parquet`: the field or column that holds the text */
  textField: z.string().min(1).default('text'),
  /** of `jsonl` and `parquet`: what the text of a row is */
  textFormat: z.enum(TEXT_FORMATS).default('text'),
  /** of `jsonl` and `parquet`: what becomes of a row without text */
  badRows: z.enum(['fail', 'reject']).default('fail'),
  /** leave licence comments at the head of `code` */
  keepLicences: z.boolean().default(false),
  /** globs on paths within the source */
  exclude: z.array(globSchema).default([]),
  /** keep documents, chosen by their hash, up to about this many bytes of text */
  limitBytes: z.int().positive().optional(),
});

export type SourceConfig = z.output<typeof sourceConfigSchema>;

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
