/** What is wrong with a value of a config, in words like those of our other errors: the value found, and what it must be. */
import type { z } from 'zod';
import { nearestWord } from './nearest.ts';

type Issue = z.core.$ZodIssue;

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping of keys',
  record: 'a mapping of keys',
  array: 'a list',
  null: 'null',
};

/** `-1 must be more than 0`, or the schema's own words where it has some. */
export function describeIssue(issue: Issue, config: unknown): string {
  const value = issue.path.reduce<unknown>((node, key) => (node as never)?.[key], config);
  const must = requirementOf(issue, value);
  if (must === undefined) return issue.message;
  if (value === undefined) return `missing; it must be ${must}`;
  return `${show(value)} must be ${must}`;
}

/** What completes "it must be"; undefined where the message of the issue says it. @param value what was found */
function requirementOf(issue: Issue, value: unknown): string | undefined {
  // A schema with words of its own has replaced zod's, which begin like these.
  if (!/^(Invalid|Too (small|big)|Unrecognized)/.test(issue.message)) return undefined;
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return oneOf(issue.values, value);
    case 'too_small':
      return boundOf(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum);
    case 'too_big':
      return boundOf(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum);
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return `text like ${'pattern' in issue ? String(issue.pattern) : issue.format}`;
    case 'invalid_key':
      return `under another key: ${issue.issues.map((each) => requirementOf(each, undefined) ?? each.message).join(', ')}`;
    case 'invalid_union':
      return 'options' in issue
        ? oneOf(issue.options as readonly unknown[], value)
        : alternatives(issue.errors, value);
    default:
      return undefined;
  }
}

function alternatives(errors: readonly (readonly Issue[])[], value: unknown): string | undefined {
  const each = errors.map(([first]) => first && requirementOf(first, value));
  return each.length > 0 && each.every(Boolean) ? [...new Set(each)].join(' or ') : undefined;
}

/** Longer lists are told behind the nearest of them. */
const MANY = 4;

/** The values that are known, the one first that was meant perhaps. */
function oneOf(known: readonly unknown[], found: unknown): string {
  const words = known.filter((each) => typeof each === 'string');
  const nearest = typeof found === 'string' ? nearestWord(found, words) : undefined;
  const shown = (values: readonly unknown[]) => values.map((value) => JSON.stringify(value));
  if (nearest === undefined) return shown(known).join(' or ');
  const others = shown(known.filter((each) => each !== nearest));
  if (known.length <= MANY) return [JSON.stringify(nearest), ...others].join(' or ');
  return `${JSON.stringify(nearest)}, which is nearest, or one of ${others.join(', ')}`;
}

function boundOf(origin: string, relation: string, bound: number | bigint): string {
  if (origin === 'array') return `a list of ${relation} ${bound} entries`;
  if (origin === 'string') return `text of ${relation} ${bound} characters`;
  return `${relation} ${bound}`;
}

/** As YAML would write it, long values cut. */
function show(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
