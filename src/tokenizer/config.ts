/** What the `tokenizer:` part of a recipe may say. */
import { z } from 'zod';

export const tokenizerConfigSchema = z.discriminatedUnion('kind', [
  /** byte-level BPE with GPT-4's split pattern */
  z.strictObject({
    kind: z.literal('bpe'),
    /** bytes, merges and special tokens, exactly */
    vocabSize: z.int().min(260).max(1_000_000),
    /** UTF-8 bytes of training documents it learns from, over the domains by their size */
    trainBytes: z.int().positive().default(8_000_000),
  }),
  /** one token per character of the documents, those held out too */
  z.strictObject({ kind: z.literal('char') }),
  /** one that is there already: a tokenizer.json */
  z.strictObject({ kind: z.literal('file'), path: z.string().min(1) }),
]);

export type TokenizerConfig = z.infer<typeof tokenizerConfigSchema>;
