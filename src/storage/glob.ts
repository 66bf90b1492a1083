/**
 * Glob patterns over `/`-separated paths: `*` and `?` within a segment, `**` over segments, `{a,b}`, `[a-z]`.
 * A leading dot needs no special mark. Small, because Node 20 has none that is stable.
 */

import { DabarexError } from '../base/index.ts';

/** A test for paths that match `pattern` as a whole. @throws source_url_invalid for a pattern that is none, as `[z-a]` */
export function globMatcher(pattern: string): (path: string) => boolean {
  let expression: RegExp;
  try {
    expression = new RegExp(`^${translate(pattern)}$`, 'u');
  } catch (cause) {
    throw new DabarexError(
      'source_url_invalid',
      `The pattern "${pattern}" cannot be read. Write *, ?, **, {a,b} or [a-z], each bracket closed and each range from low to high.`,
      { pattern },
      { cause },
    );
  }
  return (path) => expression.test(path);
}

function translate(pattern: string): string {
  let out = '';
  let depth = 0;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!;
    if (pattern.startsWith('**/', i) && (i === 0 || pattern[i - 1] === '/')) {
      out += '(?:[^/]+/)*';
      i += 2;
    } else if (pattern.startsWith('**', i)) {
      out += '.*';
      i += 1;
    } else if (char === '*') out += '[^/]*';
    else if (char === '?') out += '[^/]';
    else if (char === '[' && pattern.indexOf(']', i + 2) > 0) {
      const end = pattern.indexOf(']', i + 2);
      const body = pattern
        .slice(i + 1, end)
        .replace(/^!/, '^')
        .replace(/[\\[]/g, '\\$&');
      out += `[${body}]`;
      i = end;
    } else if (char === '{' && pattern.indexOf('}', i) > 0) {
      out += '(?:';
      depth++;
    } else if (char === '}' && depth > 0) {
      out += ')';
      depth--;
    } else if (char === ',' && depth > 0) out += '|';
    else out += char.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  }
  return out;
}
