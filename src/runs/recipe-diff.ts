/** Whether two resolved recipes are the same, and the paths at which they differ. */
import { DabarexError } from '../base/index.ts';

export interface RecipeDifference {
  /** `train.optimizer.learningRate` */
  readonly path: string;
  readonly stored: unknown;
  readonly given: unknown;
}

/** The leaves at which two JSON values differ, in the order of the keys. */
export function differences(stored: unknown, given: unknown, path = ''): RecipeDifference[] {
  if (isTree(stored) && isTree(given) && Array.isArray(stored) === Array.isArray(given)) {
    const keys = new Set([...Object.keys(stored), ...Object.keys(given)]);
    return [...keys].flatMap((key) =>
      differences(stored[key], given[key], path === '' ? key : `${path}.${key}`),
    );
  }
  return stored === given ? [] : [{ path, stored, given }];
}

/** The coded error for a run that was made by another recipe; names at most three of the differences. */
export function recipeDiffersError(runPath: string, found: readonly RecipeDifference[]): DabarexError {
  const named = found
    .slice(0, 3)
    .map(({ path, stored, given }) => `${path} is ${show(stored)} there and ${show(given)} now`);
  const more = found.length > 3 ? `; and ${found.length - 3} more` : '';
  return new DabarexError(
    'run_recipe_differs',
    `${runPath} was made by another recipe: ${named.join('; ')}${more}. Start a run beside it with --set name=OTHER, ` +
      `set the values back to continue this one, or remove ${runPath} to start it again.`,
    { path: runPath, firstKey: found[0]?.path, numDifferences: found.length },
  );
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function show(value: unknown): string {
  if (value === undefined) return 'absent';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
