import { describe, expect, it } from 'vitest';
import { compareCodePoints, parsePythonJson, pythonFloat, pythonJson } from './python-text.ts';

describe('text as CPython writes it', () => {
  // Right-hand sides printed by CPython 3: repr(x).
  it.each([
    [1, '1.0'],
    [-0, '-0.0'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [123456789012345680, '1.2345678901234568e+17'],
    [1e15, '1000000000000000.0'],
    [1e16, '1e+16'],
    [1e22, '1e+22'],
    [1.5e300, '1.5e+300'],
    [0.1 + 0.2, '0.30000000000000004'],
    [-12.5, '-12.5'],
  ])('repr(%d) = %s', (value, text) => expect(pythonFloat(value)).toBe(text));

  it('escapes beyond ASCII and separates with spaces', () => {
    expect(pythonJson({ b: ['é', '🤖', '\n\u007f'], a: { x: null, y: 2n ** 70n } }, true)).toBe(
      '{"a": {"x": null, "y": 1180591620717411303424}, "b": ["\\u00e9", "\\ud83e\\udd16", "\\n\u007f"]}',
    );
  });

  it('orders by code point, not by UTF-16 unit', () => {
    expect(['\u{10000}', '\uffff'].sort(compareCodePoints)).toEqual(['\uffff', '\u{10000}']);
  });
});

describe('parsePythonJson', () => {
  it.each([
    ['{"a": [NaN, -Infinity, Infinity]}', { a: [Number.NaN, -Infinity, Infinity] }],
    [
      '[9007199254740993, -9007199254740993, 9007199254740992, 1e400]',
      [9007199254740993n, -9007199254740993n, 2 ** 53, Infinity],
    ],
    [
      '{"k\\"NaN": "1234567890123456789 NaN \\\\", "x": 0.12345678901234566}',
      { 'k"NaN': '1234567890123456789 NaN \\', x: 0.12345678901234566 },
    ],
    ['["\ue000NaN", NaN, 12345678901234568e1]', ['\ue000NaN', Number.NaN, 123456789012345680]],
  ])('reads %s', (text, value) => {
    expect(parsePythonJson(text)).toEqual(value);
  });

  it.each(['NaNa', '-NaN', '{NaN: 1}', '01234567890123456', '[1234567890123456', '"\\'])(
    'refuses %s',
    (text) => {
      expect(() => parsePythonJson(text)).toThrow(SyntaxError);
    },
  );
});
