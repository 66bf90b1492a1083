/** Which model a user means: a folder, a file, or a run by its name. */
import { existsSync, statSync } from 'node:fs';
import { basename, isAbsolute, join } from 'node:path';
import { DabarexError } from '../base/index.ts';
import { findCheckpoint } from '../checkpoint/index.ts';
import type { CliContext } from './context.ts';

export interface FoundModel {
  /** a folder with config.json, a .gguf or a .bin file */
  readonly dir: string;
  /** of the run, the folder or the file */
  readonly name: string;
}

const MODEL_FILE = /\.(gguf|bin)$/i;

/**
 * What `text` names: a model folder, a GGUF or llama2.c file, a run directory, or a run of `runs/` by its name; of a run its latest checkpoint.
 * @throws file_missing where nothing is there; checkpoint_not_found, checkpoint_incomplete for a run without a whole one
 */
export function findModel(text: string, context: CliContext): FoundModel {
  const given = isAbsolute(text) ? text : join(context.cwd, text);
  if (MODEL_FILE.test(given) && statSync(given, { throwIfNoEntry: false })?.isFile()) {
    return { dir: given, name: basename(given).replace(MODEL_FILE, '') };
  }
  for (const path of [given, join(context.runsDir, text)]) {
    if (existsSync(join(path, 'config.json'))) return { dir: path, name: basename(path) };
    if (existsSync(join(path, 'recipe.yaml'))) return { dir: findCheckpoint(path).dir, name: basename(path) };
  }
  throw new DabarexError(
    'file_missing',
    `${text} is neither a model (a folder with config.json, a .gguf or .bin file) nor a run of ${context.runsDir}. List the runs: dabarex runs`,
    { path: given },
  );
}
