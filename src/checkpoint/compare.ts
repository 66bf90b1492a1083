/** Does a checkpoint belong to this model? Names and shapes of its tensors against those the model expects. */
import { DabarexError } from '../base/index.ts';
import type { TensorInfo } from './safetensors-header.ts';

const MAX_SHOWN = 4;

/**
 * Compares what a model expects (name -> shape) with what a file holds.
 * @throws checkpoint_mismatch naming the first few differences: missing, of another shape, not expected
 */
export function checkTensors(
  file: { readonly path: string; readonly tensors: ReadonlyMap<string, TensorInfo> },
  expected: ReadonlyMap<string, readonly number[]>,
): void {
  const differences: string[] = [];
  for (const [name, shape] of expected) {
    const found = file.tensors.get(name);
    if (!found) differences.push(`${name} is missing`);
    else if (String(found.shape) !== String(shape)) {
      differences.push(`${name} is [${found.shape}], the model wants [${shape}]`);
    }
  }
  for (const name of file.tensors.keys()) {
    if (!expected.has(name)) differences.push(`${name} is not in the model`);
  }
  if (differences.length === 0) return;
  const more = differences.length > MAX_SHOWN ? `; and ${differences.length - MAX_SHOWN} more` : '';
  throw new DabarexError(
    'checkpoint_mismatch',
    `${file.path} belongs to another architecture: ${differences.slice(0, MAX_SHOWN).join('; ')}${more}. ` +
      "Use a checkpoint of this model's recipe, or the recipe of this checkpoint.",
    { path: file.path, numDifferences: differences.length },
  );
}
