/** A line of JSON Lines as a row. What is wrong with one is told as data: whether that ends the work is for others to say. */

type RowProblem = 'invalid_json' | 'no_object' | 'no_field' | 'no_text';

export interface BadRow {
  readonly problem: RowProblem;
  /** what the parser said, or the names of the fields there are */
  readonly detail: string;
  readonly cause?: unknown;
}

/** Field names that a message shows. */
const SHOWN_FIELDS = 20;

/** The object on a line. */
export function parseRow(json: string): { readonly values: Readonly<Record<string, unknown>> } | BadRow {
  let values: unknown;
  try {
    values = JSON.parse(json);
  } catch (cause) {
    return { problem: 'invalid_json', detail: (cause as Error).message.slice(0, 200), cause };
  }
  const isObject = values !== null && typeof values === 'object' && !Array.isArray(values);
  if (isObject) return { values: values as Record<string, unknown> };
  return { problem: 'no_object', detail: Array.isArray(values) ? 'a list' : typeof values };
}

/** The text in one field of the object on a line. */
export function textOfRow(json: string, field: string): { readonly text: string } | BadRow {
  const row = parseRow(json);
  if ('problem' in row) return row;
  const isThere = Object.hasOwn(row.values, field);
  const text = isThere ? row.values[field] : undefined;
  if (typeof text === 'string') return { text };
  const fields = Object.keys(row.values).slice(0, SHOWN_FIELDS).join(', ');
  return { problem: isThere ? 'no_text' : 'no_field', detail: fields || 'no fields' };
}
