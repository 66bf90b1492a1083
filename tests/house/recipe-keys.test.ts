/** docs/recipes.md has one row for every key of a recipe, with the values and the default that the schema says. */
import { expect, it } from 'vitest';
import { z } from 'zod';
import { recipeSchema } from '../../src/cli/recipe.ts';
import { readText } from './repository.ts';

interface Schema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  default?: unknown;
  pattern?: string;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  exclusiveMaximum?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | false;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
}

/** The cells of a row that the schema knows. */
interface Key {
  readonly key: string;
  readonly values: string;
  readonly default: string;
}

const code = (value: unknown) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

function valuesOf(schema: Schema): string {
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum) return schema.enum.map(code).join(', ');
  if (schema.anyOf) return schema.anyOf.map(valuesOf).join(' or ');
  if (schema.type === 'null') return '`null`';
  if (schema.type === 'boolean') return '`true`, `false`';
  if (schema.type === 'string') return schema.pattern?.includes('dur') ? 'duration' : 'text';
  if (schema.type === 'array') return `list of ${valuesOf(schema.items!)}`;
  return `${schema.type === 'integer' ? 'whole number' : 'number'}${boundsOf(schema)}`;
}

function boundsOf({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: Schema): string {
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  const bounds = [
    minimum !== undefined && ` ≥ ${minimum}`,
    exclusiveMinimum !== undefined && ` > ${exclusiveMinimum}`,
    most !== undefined && ` ≤ ${most}`,
    exclusiveMaximum !== undefined && ` < ${exclusiveMaximum}`,
  ];
  return bounds.filter(Boolean).join(',');
}

/** The keys below a schema; those of a union once, with what each kind says of it. */
function keysOf(schema: Schema, path: string): Key[] {
  if (schema.properties) {
    return Object.entries(schema.properties).flatMap(([name, each]) => {
      const key = path === '' ? name : `${path}.${name}`;
      return keysOfProperty(each, key, schema.required?.includes(name) ?? false);
    });
  }
  if (schema.oneOf) return merged(schema.oneOf.flatMap((each) => ofKind(keysOf(each, path), each)));
  return [];
}

function keysOfProperty(schema: Schema, key: string, required: boolean): Key[] {
  // The stages of a pipeline are documented one by one in docs/data.md.
  if (key === 'data.pipeline') return [{ key, values: 'list of stages', default: 'the light cleaning' }];
  // A value, or a mapping in its place: the value's row, then those of the mapping's keys.
  const isMapping = (each: Schema) => each.properties !== undefined || each.oneOf !== undefined;
  const mappings = schema.anyOf?.filter(isMapping) ?? [];
  const values = schema.anyOf?.filter((each) => !isMapping(each)) ?? [];
  if (mappings.length > 0) {
    return [
      ...keysOfProperty({ ...schema, anyOf: values }, key, required),
      ...mappings.flatMap((each) => keysOf(each, key)),
    ];
  }
  const below = [
    ...keysOf(schema, key),
    ...(schema.items ? keysOf(schema.items, `${key}.N`) : []),
    ...(schema.additionalProperties ? keysOfProperty(schema.additionalProperties, `${key}.NAME`, true) : []),
  ];
  if (below.length > 0) return below;
  const standard = schema.default === undefined ? (required ? 'required' : '') : code(schema.default);
  return [{ key, values: valuesOf(schema), default: standard }];
}

const ofKind = (keys: Key[], { properties }: Schema) =>
  keys.map((key) =>
    key.key.endsWith('.kind') ? key : { ...key, default: `${key.default} (${properties!.kind!.const})` },
  );

function merged(keys: Key[]): Key[] {
  const both = (a: string, b: string) => (a === b ? a : `${a}, ${b}`);
  const byKey = new Map<string, Key>();
  for (const each of keys) {
    const known = byKey.get(each.key);
    byKey.set(
      each.key,
      known
        ? {
            ...each,
            values: both(known.values, each.values),
            default: both(known.default, each.default),
          }
        : each,
    );
  }
  return [...byKey.values()];
}

const schema = z.toJSONSchema(recipeSchema, { unrepresentable: 'any', io: 'input' }) as Schema;

it('the table of keys in docs/recipes.md is that of the schemas', () => {
  const [, section] = readText('docs/recipes.md').split('\n## All keys\n');
  const rows = [...section!.matchAll(/^\| `([\w.]+)` \| (.*?) \| (.*?) \| (.*) \|$/gm)];
  const documented = rows.map(([, key, values, standard]) => ({ key, values, default: standard }));
  expect(documented).toEqual(keysOf(schema, ''));
  expect(rows.filter(([, , , , meaning]) => meaning!.trim().length < 8)).toEqual([]);
});
