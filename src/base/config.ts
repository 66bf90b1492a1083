/**
 * Config is a value: one strict zod schema per component, parsed once at the edge and frozen.
 * An unknown key names the known one that was meant, or those there are.
 */
import { z } from 'zod';
import { describeIssue } from './config-issue.ts';
import { DabarexError } from './errors.ts';
import { nearestWord } from './nearest.ts';

/**
 * Parses `value` by `schema` and freezes the result deeply.
 * @param where what is being read, for the message: `quickstart.yaml`
 * @throws config_unknown_key for a key no schema knows; config_invalid for any other mismatch
 */
export function parseConfig<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return deepFreeze(result.data);
  const issue = narrowed(result.error.issues[0]!);
  const path = issue.path.map(String).join('.');
  if (issue.code === 'unrecognized_keys') throw unknownKey(schema, issue.path, issue.keys[0]!, where);
  throw new DabarexError(
    'config_invalid',
    `${where}: ${path || '(top level)'}: ${describeIssue(issue, value)}. Correct this value and run again.`,
    { where, path },
  );
}

/** Of a union whose alternatives are of different types, what is wrong with the one of the value's type. */
function narrowed(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const isOtherType = ([first]: readonly z.core.$ZodIssue[]) =>
    first?.code === 'invalid_type' && first.path.length === 0;
  const [fitting, ...others] = issue.errors.filter((each) => !isOtherType(each));
  const [first] = others.length === 0 ? (fitting ?? []) : [];
  return first ? narrowed({ ...first, path: [...issue.path, ...first.path] }) : issue;
}

function unknownKey(
  schema: z.ZodType,
  path: readonly PropertyKey[],
  key: string,
  where: string,
): DabarexError {
  const known = keysAt(schema, path);
  const nearest = nearestWord(key, known);
  const full = [...path.map(String), key].join('.');
  const meant = nearest && ` Did you mean "${[...path.map(String), nearest].join('.')}"?`;
  const hint = meant ?? (known.length > 0 ? ` The keys here are ${known.join(', ')}.` : '');
  return new DabarexError(
    'config_unknown_key',
    `${where}: unknown key "${full}".${hint} Remove it or rename it.`,
    {
      where,
      key: full,
      nearest,
    },
  );
}

/** The keys the schema accepts at `path`; [] where it is not an object. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let node = z.toJSONSchema(schema, { unrepresentable: 'any', io: 'input' }) as JsonSchema;
  const root = node;
  for (const part of path) {
    node = follow(root, node);
    const next =
      typeof part === 'number' ? node.items : (node.properties?.[String(part)] ?? node.additionalProperties);
    if (!next || typeof next !== 'object') return [];
    node = next;
  }
  node = follow(root, node);
  const variants = [node, ...(node.anyOf ?? []), ...(node.oneOf ?? [])].map((each) => follow(root, each));
  return [...new Set(variants.flatMap((each) => Object.keys(each.properties ?? {})))];
}

interface JsonSchema {
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
}

function follow(root: JsonSchema, node: JsonSchema): JsonSchema {
  const name = node.$ref?.split('/').pop();
  return name ? (root.$defs?.[name] ?? node) : node;
}

function deepFreeze<T>(value: T): T {
  if (value && typeof value === 'object' && !ArrayBuffer.isView(value)) {
    Object.freeze(value);
    for (const each of Object.values(value)) deepFreeze(each);
  }
  return value;
}
