/** Does a checkpoint belong to this model? Names and shapes of its tensors against those the model expects. */
import { DabarexError } from '../base/index.ts';

const MAX_SHOWN = 4;

/** Shapes of tensors by their names. */
export type TensorShapes = ReadonlyMap<string, readonly number[]>;

/**
 * Compares what a model expects with what the file at `path` holds.
 * @throws checkpoint_mismatch naming the first few differences: missing, of another shape, not expected
 */
export function checkTensors(path: string, held: TensorShapes, expected: TensorShapes): void {
  const differences: string[] = [];
  for (const [name, shape] of expected) {
    const found = held.get(name);
    if (!found) differences.push(`${name} is missing`);
    else if (String(found) !== String(shape)) {
      differences.push(`${name} is [${found}], the model wants [${shape}]`);
    }
  }
  for (const name of held.keys()) {
    if (!expected.has(name)) differences.push(`${name} is not in the model`);
  }
  if (differences.length === 0) return;
  const more = differences.length > MAX_SHOWN ? `; and ${differences.length - MAX_SHOWN} more` : '';
  throw new DabarexError(
    'checkpoint_mismatch',
    `${path} belongs to another architecture: ${differences.slice(0, MAX_SHOWN).join('; ')}${more}. ` +
      "Use a checkpoint of this model's recipe, or the recipe of this checkpoint.",
    { path, numDifferences: differences.length },
  );
}

/** Shapes of a file's tensors, for {@link checkTensors}. */
export function shapesOf(
  tensors: Iterable<readonly [string, { readonly shape: readonly number[] }]>,
): TensorShapes {
  return new Map([...tensors].map(([name, { shape }]) => [name, shape]));
}
