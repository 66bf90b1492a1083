/** Every error code is explained in docs/errors.md, sorted there as in the code, thrown somewhere and met by some test. */
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/base/index.ts';
import { filesBelow, readText } from './repository.ts';

const documented = [...readText('docs/errors.md').matchAll(/^## (.+)$/gm)].map((match) => match[1]!.trim());
const tests = ['src', 'tests', 'dashboard']
  .flatMap((folder) => filesBelow(folder, /\.test\.tsx?$/))
  .filter((path) => !path.startsWith('tests/house/errors'))
  .map(readText)
  .join('\n');

const sources = [...filesBelow('src', /(?<!\.test|\.suite)\.ts$/), ...filesBelow('native', /\.cc$/)]
  .filter((path) => path !== 'src/base/errors.ts')
  .map((path) => readText(path).replace(/^\s*(\*|\/\/|\/\*).*$/gm, ''))
  .join('\n');

function isQuoted(code: string, text: string): boolean {
  return ["'", '"', '`'].some((mark) => text.includes(mark + code + mark));
}

describe('error codes', () => {
  it('are sorted and distinct', () => {
    expect([...ERROR_CODES]).toEqual([...new Set(ERROR_CODES)].sort());
  });

  it('each have their paragraph in docs/errors.md, in the same order, and no other', () => {
    expect(documented).toEqual([...ERROR_CODES]);
  });

  it('have a paragraph that says something', () => {
    const paragraphs = readText('docs/errors.md')
      .split(/^## .+$/m)
      .slice(1);
    expect(paragraphs.filter((text) => text.trim().length < 40)).toEqual([]);
  });

  it('are each met in a test', () => {
    expect(ERROR_CODES.filter((code) => !isQuoted(code, tests))).toEqual([]);
  });

  it('are each thrown somewhere in the code', () => {
    expect(ERROR_CODES.filter((code) => !isQuoted(code, sources))).toEqual([]);
  });
});
