/** Where things are kept that all runs share. */
import { join } from 'node:path';
import type { CliContext } from './context.ts';

/**
 * Prepared data: `documents/KEY`, `tokenizers/KEY`, `shards/KEY`, each named by what it was made of: texts by their content,
 * settings, code. So runs of other texts or settings never touch it, and those of the same share it.
 */
export function dataDirOf(context: CliContext): string {
  return join(context.cacheDir, 'data');
}

/** Downloaded sources, by their hash. */
export function sourcesDirOf(context: CliContext): string {
  return join(context.cacheDir, 'sources');
}

/** Indexes of text files that are read without shards, and what was unpacked of them. */
export function textsDirOf(context: CliContext): string {
  return join(context.cacheDir, 'texts');
}
