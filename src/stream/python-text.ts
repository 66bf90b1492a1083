/**
 * Text as CPython writes it, because MDS headers, indexes and the `json` and `str_float` encodings are its output and
 * must match to the byte: `json.dumps` (", " and ": ", ASCII with \u escapes) and `repr(float)`.
 */

/** The value as `json.dumps(value, sort_keys=sortKeys)`; whole numbers are written as Python ints. Bigints are allowed. */
export function pythonJson(value: unknown, sortKeys = false): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return pythonString(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`);
    return Number.isInteger(value) ? BigInt(value).toString() : pythonFloat(value);
  }
  if (Array.isArray(value)) return `[${value.map((each) => pythonJson(each, sortKeys)).join(', ')}]`;
  if (typeof value === 'object') {
    const entries = Object.entries(value as object).filter(([, each]) => each !== undefined);
    if (sortKeys) entries.sort(([a], [b]) => compareCodePoints(a, b));
    return `{${entries.map(([key, each]) => `${pythonString(key)}: ${pythonJson(each, sortKeys)}`).join(', ')}}`;
  }
  throw new TypeError(`a ${typeof value} has no JSON form`);
}

/**
 * What `json.loads` of Python reads: JSON, and NaN, Infinity and -Infinity. Whole numbers that a double cannot hold become bigints.
 * @throws SyntaxError
 */
export function parsePythonJson(text: string): unknown {
  if (!/NaN|Infinity|\d{16}/.test(text)) return JSON.parse(text);
  let mark = '\ue000';
  while (text.includes(mark)) mark += '\ue000';
  const token = /"[^"\\]*(?:\\.[^"\\]*)*"|(?<![\w.+-])(?:-?Infinity|NaN|-?[1-9]\d{15,})(?![\w.]|\s*:)/gs;
  const marked = text.replace(token, (each) => (each.startsWith('"') ? each : `"${mark}${each}"`));
  return JSON.parse(marked, (_, value) =>
    typeof value === 'string' && value.startsWith(mark) ? numberOf(value.slice(mark.length)) : value,
  );
}

function numberOf(text: string): number | bigint {
  if (!/\d/.test(text)) return Number(text);
  const number = Number(text);
  const exact = BigInt(text);
  return Number.isFinite(number) && BigInt(number) === exact ? number : exact;
}

/** `repr(float)`: the shortest digits, with an exponent below 1e-4 and from 1e16 on. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [mantissa, exponentText] = Math.abs(value).toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  const sign = value < 0 ? '-' : '';
  if (exponent < -4 || exponent >= 16) {
    const digits = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${digits}`;
  }
  const digits = mantissa.replace('.', '');
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const padded = digits.padEnd(exponent + 1, '0');
  return `${sign}${padded.slice(0, exponent + 1)}.${padded.slice(exponent + 1) || '0'}`;
}

/** Python's order of strings: by code point, where JavaScript's own order is by UTF-16 unit. */
export function compareCodePoints(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

function pythonString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
