import { describe, it } from 'vitest';
import { describeKernels } from './kernels.suite.ts';
import { loadNative, nativeInstructionSets, nativeUnavailableReason } from './native.ts';
import { createReferenceKernels } from './reference/index.ts';

// The reference against itself: that the suite's own calls are sound.
describeKernels('reference', createReferenceKernels, { headDims: [1, 2, 6, 8, 20, 64] });

// Native attention works on heads of a multiple of 8, at most 256.
for (const isa of nativeInstructionSets()) {
  describeKernels(`native-${isa}`, () => loadNative({ isa })!, { headDims: [8, 16, 24, 40, 64, 128] });
}

describe.skipIf(nativeUnavailableReason() === null)('native kernels', () => {
  it.skip(`not tested here: ${nativeUnavailableReason()}`, () => {});
});
