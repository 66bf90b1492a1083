/** Text files as a recipe names them, in place of a folder of shards. */
import { z } from 'zod';
import { DabarexError } from '../base/index.ts';
import { checkFilesUrl } from '../storage/index.ts';

export const textFilesSchema = z.strictObject({
  /** paths or URLs, with patterns or without; the order counts */
  files: z.array(z.string().min(1).superRefine(accepted)).min(1),
  /** absent: by the name of each file */
  format: z.enum(['jsonl', 'parquet', 'text']).optional(),
  /** field of a line, or column, that holds the text */
  textField: z.string().min(1).default('text'),
});

export type TextFilesConfig = z.output<typeof textFilesSchema>;

function accepted(url: string, context: z.RefinementCtx): void {
  try {
    checkFilesUrl(url);
  } catch (error) {
    if (!(error instanceof DabarexError)) throw error;
    context.addIssue({ code: 'custom', message: error.message.replace(/\.$/, '') });
  }
}
