import { describe, expect, it } from 'vitest';
import { loadNative, nativeInstructionSets } from './native.ts';

describe.skipIf(nativeInstructionSets().length === 0)('native engine', () => {
  it.each(nativeInstructionSets())('%s: fills and scales, the same on 1 and 2 threads', (isa) => {
    for (const threads of [1, 2]) {
      const kernels = loadNative({ isa, threads })!;
      expect(kernels.threads).toBe(threads);
      const x = new Float32Array(100_003);
      const y = new Float32Array(100_003);
      kernels.fill(x, 1.5);
      kernels.scale(y, x, 2);
      kernels.scale(y, x, 1, true);
      expect(y.every((value) => value === 4.5)).toBe(true);
    }
  });

  it('gives zeroed memory of the exact size', () => {
    const kernels = loadNative()!;
    const buffer = kernels.allocate(5_000_004);
    expect(buffer.byteLength).toBe(5_000_004);
    expect(new Float32Array(buffer).every((value) => value === 0)).toBe(true);
  });

  it('refuses arrays whose lengths do not fit, and unknown instruction sets', () => {
    const kernels = loadNative()!;
    expect(() => kernels.scale(new Float32Array(3), new Float32Array(4), 1)).toThrow(/y has 3 elements/);
    expect(() => kernels.scale(new Float64Array(4), new Float32Array(4), 1)).toThrow(/Float32Array/);
    expect(() => loadNative({ isa: 'mmx' })).toThrow(/mmx/);
  });
});
