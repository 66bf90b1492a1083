/**
 * A whole recipe: the schemas of the components put together, and how a recipe file is found, extended and overridden.
 * Parts a command does not need may be missing: an architecture alone is a recipe too.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { YAMLError } from 'yaml';
import { z } from 'zod';
import { DabarexError, nearestWord, parseConfig } from '../base/index.ts';
import { evaluateConfigSchema } from '../evaluate/index.ts';
import { modelConfigSchema } from '../model/index.ts';
import { serveConfigSchema } from '../serve/index.ts';
import { type TokenizerConfig, tokenizerConfigSchema } from '../tokenizer/index.ts';
import { trainConfigSchema } from '../train/index.ts';
import { checkCurriculum, checkData, dataConfigSchema } from './data-config.ts';
import { applyOverrides } from './overrides.ts';
import { parseYaml } from './yaml.ts';

export const recipeSchema = z
  .strictObject({
    /** names the run directory: letters, digits, `.`, `_` and `-` */
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, { message: 'use letters, digits, ".", "_" and "-"' }),
    seed: z.number().int().nonnegative().default(0),
    data: dataConfigSchema.optional(),
    tokenizer: tokenizerConfigSchema.optional(),
    model: modelConfigSchema.optional(),
    train: trainConfigSchema.optional(),
    evaluate: evaluateConfigSchema.optional(),
    serve: serveConfigSchema.optional(),
  })
  .superRefine(({ data, tokenizer, model, train }, context) => {
    const fail = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    if (model && train && train.sequenceLength > model.maxSeqLen) {
      const lengths = `${train.sequenceLength} tokens are more than model.maxSeqLen, ${model.maxSeqLen}`;
      fail(['train', 'sequenceLength'], lengths);
    }
    checkData(data, tokenizer, fail);
    checkCurriculum(data, train, fail);
  });

export type Recipe = z.infer<typeof recipeSchema>;

type Part = Exclude<keyof Recipe, 'name' | 'seed'>;

/**
 * Reads a recipe file, lays it over the one its `extends` names (a path beside it), applies `--set` overrides and
 * validates the whole. A path that does not exist but is the name of a recipe of this package (`quickstart`) is that one.
 * @param overrides `path=value` each
 * @throws file_missing; config_invalid; config_unknown_key naming the nearest key
 */
export function loadRecipe(path: string, overrides: readonly string[] = [], cwd = process.cwd()): Recipe {
  const file = findRecipe(path, cwd);
  const document = applyOverrides(readDocument(file, []), overrides);
  requireNewKeys(document, file);
  const named = { name: basename(file).replace(/\.ya?ml$/, ''), ...(document as object) };
  const where = overrides.length ? `${path} with --set` : path;
  return parseConfig(recipeSchema, named, where);
}

/** @throws config_unknown_key for a key that has another name now, naming it */
function requireNewKeys(document: unknown, file: string): void {
  if ((document as { train?: { phases?: unknown } }).train?.phases === undefined) return;
  throw new DabarexError(
    'config_unknown_key',
    `${file}: unknown key "train.phases": it is "data.curriculum" now. Move the list there and give each phase a ` +
      '"duration" ("fraction: 0.8" is "duration: 0.8dur").',
    { where: file, key: 'train.phases', nearest: 'data.curriculum' },
  );
}

/** A part the command cannot do without. @throws config_invalid when the recipe lacks it */
export function requirePart<P extends Part>(recipe: Recipe, part: P): NonNullable<Recipe[P]> {
  const value = recipe[part];
  if (value === undefined || value === null) {
    throw new DabarexError(
      'config_invalid',
      `Recipe ${recipe.name} has no part "${part}", which this command needs. Add it, or choose another recipe: ` +
        'quickstart has all parts.',
      { recipe: recipe.name, part },
    );
  }
  return value as NonNullable<Recipe[P]>;
}

/** The parts of a recipe that a training run needs. @throws config_invalid when it lacks one */
export function requireRunParts(recipe: Recipe): void {
  for (const part of ['data', 'tokenizer', 'model', 'train'] as const) requirePart(recipe, part);
}

/** Tokens of a tokenizer that is still to be trained: known for BPE alone. */
export function tokenizerVocabSize(tokenizer: TokenizerConfig | undefined): number | undefined {
  return tokenizer?.kind === 'bpe' ? tokenizer.vocabSize : undefined;
}

const RECIPES = fileURLToPath(new URL('../../recipes', import.meta.url));

/** Whether a recipe of this name comes with the package. */
export function isRecipeName(text: string): boolean {
  return /^[\w.-]+$/.test(text) && existsSync(join(RECIPES, `${text}.yaml`));
}

function findRecipe(path: string, cwd: string): string {
  const own = join(RECIPES, `${path}.yaml`);
  const given = isAbsolute(path) ? path : join(cwd, path);
  if (existsSync(given)) return given;
  if (isRecipeName(path)) return own;
  const names = ownNames();
  const nearest = nearestWord(basename(path).replace(/\.ya?ml$/, ''), names);
  const hint = nearest ? ` Did you mean ${nearest}?` : '';
  throw new DabarexError(
    'file_missing',
    `There is no recipe at ${given}.${hint} Check the path, or name one that comes with dabarex: ${names.join(', ')}.`,
    { path: given, nearest },
  );
}

function ownNames(): string[] {
  const files = existsSync(RECIPES) ? readdirSync(RECIPES) : [];
  return files.map((file) => file.replace(/\.yaml$/, '')).sort();
}

/** The document of a file laid over those it extends. */
function readDocument(file: string, extendedBy: readonly string[]): Record<string, unknown> {
  if (extendedBy.includes(file)) throw invalid(file, `extends itself by way of ${extendedBy.join(', ')}`);
  if (!existsSync(file)) {
    throw new DabarexError('file_missing', `There is no recipe at ${file}, which ${extendedBy[0]} extends.`, {
      path: file,
    });
  }
  const document = parseDocument(file);
  const { extends: base, ...own } = document;
  if (base === undefined) return own;
  if (typeof base !== 'string') throw invalid(file, '"extends" must be the path of a recipe beside it');
  return merge(readDocument(resolve(dirname(file), base), [file, ...extendedBy]), own) as Record<
    string,
    unknown
  >;
}

function parseDocument(file: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = parseYaml(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof YAMLError) throw invalid(file, error.message.split('\n')[0]!.replace(/:$/, ''));
    throw invalid(file, `cannot be read (${(error as Error).message})`);
  }
  if (!document || typeof document !== 'object' || Array.isArray(document)) {
    throw invalid(file, 'holds no keys; a recipe is a YAML mapping');
  }
  return document as Record<string, unknown>;
}

/** Mappings are merged key by key; everything else, lists too, is replaced. */
function merge(base: unknown, own: unknown): unknown {
  if (!isMapping(base) || !isMapping(own)) return own;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(own)) {
    merged[key] = key in base ? merge(base[key], value) : value;
  }
  return merged;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function invalid(file: string, problem: string): DabarexError {
  return new DabarexError('config_invalid', `${file}: ${problem}. Correct the file and run again.`, {
    path: file,
  });
}
