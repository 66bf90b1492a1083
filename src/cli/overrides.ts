/** `--set path=value`: changes of a recipe from the command line. */
import type { Command } from 'commander';
import { DabarexError } from '../base/index.ts';
import { parseYaml } from './yaml.ts';

/** Adds the repeatable `--set` to a command; its values arrive as `options.set`, undefined where there are none. */
export function addSetOption(command: Command): Command {
  return command.option(
    '--set <path=value>',
    'override a key of the recipe; the value is YAML; repeatable',
    (value: string, all?: string[]) => [...(all ?? []), value],
  );
}

/**
 * Applies overrides to a parsed YAML document: objects on the way are made, numbers index lists.
 * Whether the keys exist is the schema's business. Returns a changed copy.
 * @throws config_invalid for text without `=`, an empty key or `__proto__`, a list index out of range, or a value that is no YAML
 */
export function applyOverrides(document: unknown, overrides: readonly string[]): unknown {
  return overrides.reduce(applyOverride, structuredClone(document));
}

function applyOverride(document: unknown, override: string): unknown {
  const split = override.indexOf('=');
  const keys = override.slice(0, split).split('.');
  if (split < 1 || keys.includes('')) {
    throw invalid(override, 'write path=value, for example train.duration=5Mtok');
  }
  if (keys.includes('__proto__')) throw invalid(override, 'no key of a recipe is called "__proto__"');
  return assign(document, keys, parseValue(override, override.slice(split + 1)), override);
}

function parseValue(override: string, text: string): unknown {
  try {
    return parseYaml(text);
  } catch (error) {
    throw invalid(override, `the value is no YAML (${(error as Error).message.split('\n')[0]}); quote it`);
  }
}

function assign(node: unknown, keys: readonly string[], value: unknown, override: string): unknown {
  const [key, ...rest] = keys;
  if (key === undefined) return value;
  if (Array.isArray(node)) {
    const index = Number(key);
    if (!Number.isInteger(index) || index < 0 || index > node.length) {
      throw invalid(override, `"${key}" must be an index from 0 to ${node.length} of the list there`);
    }
    return node.toSpliced(index, 1, assign(node[index], rest, value, override));
  }
  const object = node && typeof node === 'object' ? (node as Record<string, unknown>) : {};
  return { ...object, [key]: assign(object[key], rest, value, override) };
}

function invalid(override: string, hint: string): DabarexError {
  return new DabarexError('config_invalid', `--set ${override}: ${hint}.`, { override });
}
