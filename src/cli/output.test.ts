import { expect, it } from 'vitest';
import { formatBytes, formatSeconds, formatShort, formatTable } from './output.ts';

it.each([
  [0, '0'],
  [999, '999'],
  [1000, '1.00 k'],
  [36_469_708_800, '36.5 G'],
  [0.5, '0.50'],
])('formatShort(%d) is %s', (value, text) => {
  expect(formatShort(value)).toBe(text);
});

it('shows bytes and times', () => {
  expect(formatBytes(263_193_047_040)).toBe('263 GB');
  expect([42, 185, 7620].map(formatSeconds)).toEqual(['42 s', '3 min 05 s', '2 h 07 min']);
});

it('sets figures to the right and words to the left', () => {
  expect(
    formatTable(
      ['domain', 'bits/byte'],
      [
        ['prose', '1.9'],
        ['code', '12.25'],
      ],
    ),
  ).toBe(['domain  bits/byte', 'prose         1.9', 'code        12.25'].join('\n'));
});
