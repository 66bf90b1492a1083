/** The shared suite of all implementations of {@link Kernels}: each family against the reference (conformance/). */
import { describe, expect, it } from 'vitest';
import { describeAttention } from './conformance/attention.suite.ts';
import { describeBlocks } from './conformance/blocks.suite.ts';
import { describeElementwise } from './conformance/elementwise.suite.ts';
import { describeLayers } from './conformance/layers.suite.ts';
import { describeLoss } from './conformance/loss.suite.ts';
import { describeMatrix } from './conformance/matrix.suite.ts';
import type { Kernels } from './kernels.ts';

export interface SuiteOptions {
  /** head dimensions attention is tested with */
  readonly headDims: readonly number[];
  /** how many times larger than usual random shapes may become: 1 by default, more where time does not matter */
  readonly stretch?: number;
}

/** Registers the tests of one implementation under `name`; `create` is called inside each test. */
export function describeKernels(name: string, create: () => Kernels, options: SuiteOptions): void {
  describe(`kernels ${name}`, () => {
    it('allocates zeroed memory', () => {
      const buffer = create().allocate(1000);
      expect(buffer.byteLength).toBe(1000);
      expect(new Uint8Array(buffer).every((byte) => byte === 0)).toBe(true);
    });

    it('measures a peak of multiply-adds', () => {
      expect(create().measurePeakFlops('f32', 20)).toBeGreaterThan(1e6);
    });

    it('measures how fast memory is read', () => {
      expect(create().measureReadBandwidth(1)).toBeGreaterThan(1e6);
    });

    const stretch = options.stretch ?? 1;
    describeMatrix(create, stretch);
    describeAttention(create, options.headDims, stretch);
    describeLayers(create, stretch);
    describeLoss(create, stretch);
    describeElementwise(create, stretch);
    describeBlocks(create, stretch);
  });
}
