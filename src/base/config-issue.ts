/** What is wrong with a value of a config, in words like those of our other errors: the value found, and what it must be. */
import type { z } from 'zod';

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
  const must = requirementOf(issue);
  if (must === undefined) return issue.message;
  if (value === undefined) return `missing; it must be ${must}`;
  return `${show(value)} must be ${must}`;
}

/** What completes "it must be"; undefined where the message of the issue says it. */
function requirementOf(issue: Issue): string | undefined {
  // A schema with words of its own has replaced zod's, which begin like these.
  if (!/^(Invalid|Too (small|big)|Unrecognized)/.test(issue.message)) return undefined;
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return oneOf(issue.values);
    case 'too_small':
      return boundOf(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum);
    case 'too_big':
      return boundOf(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum);
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`;
    case 'invalid_format':
      return `text like ${'pattern' in issue ? String(issue.pattern) : issue.format}`;
    case 'invalid_key':
      return `under another key: ${issue.issues.map((each) => requirementOf(each) ?? each.message).join(', ')}`;
    case 'invalid_union':
      return 'options' in issue ? oneOf(issue.options as readonly unknown[]) : alternatives(issue.errors);
    default:
      return undefined;
  }
}

function alternatives(errors: readonly (readonly Issue[])[]): string | undefined {
  const each = errors.map(([first]) => first && requirementOf(first));
  return each.length > 0 && each.every(Boolean) ? [...new Set(each)].join(' or ') : undefined;
}

function oneOf(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value)).join(' or ');
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
