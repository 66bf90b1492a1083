/** Stages of the light cleaning that a recipe without `data.pipeline` gets: minified code and short documents go. */
import { z } from 'zod';
import type { TextStage } from '../text/stage.ts';

const minifiedSchema = z.strictObject({
  /** characters */
  maxLineLength: z.int().positive().default(2000),
});

/** Drops documents with a line so long that nobody has written it by hand. */
export const minified: TextStage<z.output<typeof minifiedSchema>> = {
  name: 'minified',
  version: 1,
  schema: minifiedSchema,
  create:
    ({ maxLineLength }) =>
    (document) =>
      hasLongLine(document.text, maxLineLength) ? { reject: 'minified' } : { keep: document },
};

/** Whether a line is longer than `limit` characters. */
function hasLongLine(text: string, limit: number): boolean {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    if ((end < 0 ? text.length : end) - start > limit) return true;
    if (end < 0) return false;
    start = end + 1;
  }
  return false;
}

const lengthSchema = z.strictObject({
  /** UTF-8 bytes of trimmed text */
  minBytes: z.int().nonnegative().default(64),
  maxBytes: z.int().positive().optional(),
});

/** Drops documents that are too short, or too long. */
export const length: TextStage<z.output<typeof lengthSchema>> = {
  name: 'length',
  version: 1,
  schema: lengthSchema,
  create: ({ minBytes, maxBytes }) => {
    return (document) => {
      const bytes = Buffer.byteLength(document.text.trim());
      if (bytes < minBytes) return { reject: 'too_short', detail: `${bytes} bytes` };
      if (maxBytes !== undefined && bytes > maxBytes) return { reject: 'too_long', detail: `${bytes} bytes` };
      return { keep: document };
    };
  },
};
