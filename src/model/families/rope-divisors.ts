/**
 * Llama 3's stretched positions as GGUF keeps them: a tensor [P/2] of what every frequency is divided by. Which setting they come from is
 * found by trying those that models were published with.
 */
import { DabarexError } from '../../base/index.ts';
import { inverseFrequencies, type RopeScaling } from '../../tensor/index.ts';
import type { ModelConfig } from '../config.ts';

type RopeShape = Pick<ModelConfig, 'headDim' | 'ropeTheta'>;

/** [P/2] divisors of a setting of the kind `llama3`. */
export function divisorsOf({ headDim, ropeTheta }: RopeShape, scaling: RopeScaling): Float32Array {
  const plain = inverseFrequencies(headDim, ropeTheta);
  const stretched = inverseFrequencies(headDim, ropeTheta, scaling);
  return Float32Array.from(plain, (each, i) => each / stretched[i]!);
}

/** @throws config_invalid where no known setting gives these divisors */
export function scalingByDivisors(
  divisors: Float32Array,
  shape: RopeShape,
  path: string,
): RopeScaling | null {
  const factor = divisors.reduce((most, each) => Math.max(most, each), 1);
  if (factor === 1) return null;
  for (const originalMaxSeqLen of [8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8]) {
    const scaling = {
      kind: 'llama3',
      factor,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxSeqLen,
    } as const;
    const own = divisorsOf(shape, scaling);
    const isSame =
      own.length === divisors.length && own.every((each, i) => Math.abs(each / divisors[i]! - 1) < 1e-4);
    if (isSame) return scaling;
  }
  throw new DabarexError(
    'config_invalid',
    `${path}: its rope_freqs.weight stretches positions in a way that is not known. Convert the model from its Hugging Face folder.`,
    { path },
  );
}
