/** What `--json` prints: keys are snake_case and end in their unit, as in metrics.jsonl. */

/** A part of a recipe keeps the names that it has in a recipe; `config` is its `data`. */
const RECIPE_PARTS = ['model', 'config'];
/** What lies below these is named by the user. */
const BY_NAME = ['domains'];

/** One object as a line of JSON, its camelCase keys turned into snake_case. */
export function toJsonLine(value: unknown): string {
  return `${JSON.stringify(withSnakeKeys(value))}\n`;
}

function withSnakeKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withSnakeKeys);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).map(([key, each]) => [snakeCase(key), partWithSnakeKeys(key, each)]);
  return Object.fromEntries(entries);
}

function partWithSnakeKeys(key: string, part: unknown): unknown {
  if (RECIPE_PARTS.includes(key)) return part;
  if (!BY_NAME.includes(key) || part === null || typeof part !== 'object') return withSnakeKeys(part);
  return Object.fromEntries(Object.entries(part).map(([name, each]) => [name, withSnakeKeys(each)]));
}

/** Of our own keys; names of files and addresses stay as they are. */
function snakeCase(key: string): string {
  if (!/^[a-z][A-Za-z0-9]*$/.test(key)) return key;
  return key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
