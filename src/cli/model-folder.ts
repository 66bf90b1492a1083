/** Which model a user means: a folder, or a run by its name. */
import { existsSync } from 'node:fs';
import { basename, isAbsolute, join } from 'node:path';
import { DabarexError } from '../base/index.ts';
import { findCheckpoint } from '../checkpoint/index.ts';
import type { CliContext } from './context.ts';

export interface ModelFolder {
  readonly dir: string;
  /** of the run, or of the folder */
  readonly name: string;
}

/**
 * What `text` names: a model folder, a run directory, or a run of `runs/` by its name; of a run its latest checkpoint.
 * @throws file_missing where nothing is there; checkpoint_not_found, checkpoint_incomplete for a run without a whole one
 */
export function findModelFolder(text: string, context: CliContext): ModelFolder {
  const given = isAbsolute(text) ? text : join(context.cwd, text);
  for (const path of [given, join(context.runsDir, text)]) {
    if (existsSync(join(path, 'config.json'))) return { dir: path, name: basename(path) };
    if (existsSync(join(path, 'recipe.yaml'))) return { dir: findCheckpoint(path).dir, name: basename(path) };
  }
  throw new DabarexError(
    'file_missing',
    `${text} is neither a model folder (with config.json) nor a run of ${context.runsDir}. List the runs: dabarex runs`,
    { path: given },
  );
}
