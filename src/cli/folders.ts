/** Where a recipe's things are kept. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { CliContext } from './context.ts';
import type { Recipe } from './recipe.ts';

/** Prepared text, tokenizer and shards: shared by all recipes whose `data` and `tokenizer` are the same. */
export function dataDirOf(recipe: Recipe, context: CliContext): string {
  const key = createHash('sha256')
    .update(JSON.stringify([recipe.data, recipe.tokenizer]))
    .digest('hex');
  return join(context.cacheDir, 'data', key.slice(0, 12));
}

/** Downloaded sources, by their hash. */
export function sourcesDirOf(context: CliContext): string {
  return join(context.cacheDir, 'sources');
}
