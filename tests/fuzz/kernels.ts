/** The shared suite on every instruction set of this machine, with shapes up to four times as large. `npm run fuzz -- kernels` */
import { describeKernels } from '../../src/tensor/kernels.suite.ts';
import { loadNative, nativeInstructionSets } from '../../src/tensor/native.ts';

for (const isa of nativeInstructionSets()) {
  describeKernels(`native-${isa}`, () => loadNative({ isa })!, {
    headDims: [8, 16, 24, 40, 64, 72, 104, 128, 136, 256],
    stretch: 4,
  });
}
