/**
 * Columns of a conversion: given as `name=encoding`, or inferred from the first rows. Text becomes `str`, whole numbers `int`, other numbers
 * `float64`, bytes `bytes`, lists of whole numbers `ndarray:int32` (or `int64`), all else, and what is sometimes missing, `json`.
 */
import { DabarexError } from '../../base/index.ts';
import type { Row } from './rows.ts';

export type Columns = Readonly<Record<string, string>>;

/** How many rows decide. */
export const INFERENCE_ROWS = 1000;

/** @throws data_empty where there is no row, or none with a value */
export function inferColumns(rows: readonly Row[], where: string): Columns {
  const names = [...new Set(rows.flatMap(({ values }) => Object.keys(values)))].sort();
  if (names.length === 0) {
    throw new DabarexError('data_empty', `${where} holds no row with a value: nothing to convert.`, {
      path: where,
    });
  }
  return Object.fromEntries(names.map((name) => [name, encodingFor(rows.map(({ values }) => values[name]))]));
}

function encodingFor(values: readonly unknown[]): string {
  const every = (test: (value: unknown) => boolean) => values.every(test);
  if (every((each) => typeof each === 'string')) return 'str';
  if (every(isWhole)) return 'int';
  if (every((each) => typeof each === 'number' || typeof each === 'bigint')) return 'float64';
  if (every((each) => each instanceof Uint8Array)) return 'bytes';
  const lists = every((each) => Array.isArray(each) && each.length > 0 && each.every(isWhole));
  if (!lists) return 'json';
  return every((each) => fits(each as unknown[], 32)) ? 'ndarray:int32' : 'ndarray:int64';
}

/** A row as {@link MdsWriter} takes it: lists as arrays of the column's type, what is missing as null in `json`. */
export function toSample(row: Row, columns: Columns): Record<string, unknown> {
  const entries = Object.entries(columns).map(([name, encoding]) => [
    name,
    toValue(row.values[name], encoding),
  ]);
  return Object.fromEntries(entries);
}

function toValue(value: unknown, encoding: string): unknown {
  if (encoding === 'json') return value === undefined ? null : plainJson(value);
  if (encoding === 'float64' && typeof value === 'bigint') return Number(value);
  if (encoding === 'str' && value instanceof Date) return value.toISOString();
  if (!Array.isArray(value)) return value;
  if (encoding === 'ndarray:int32' && fits(value, 32)) return Int32Array.from(value, Number);
  if (encoding === 'ndarray:int64' && fits(value, 64)) return BigInt64Array.from(value, BigInt);
  if (encoding === 'ndarray:float32') return Float32Array.from(value, Number);
  if (encoding === 'ndarray:float64') return Float64Array.from(value, Number);
  return value;
}

/** What Parquet has and JSON has not: dates as ISO 8601, bytes as base64. */
function plainJson(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plainJson);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plainJson(each)]));
}

/** Whether all are whole numbers of this many bits. */
function fits(values: readonly unknown[], bits: number): boolean {
  return values.every((each) => isWhole(each) && BigInt(each) === BigInt.asIntN(bits, BigInt(each)));
}

function isWhole(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isSafeInteger(value);
}
