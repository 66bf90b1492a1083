import { describe, expect, it } from 'vitest';
import { createKernels } from './engine.ts';
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

  it('refuses sizes whose product wraps around to the length of the arrays, and a slot past all others', () => {
    const kernels = loadNative()!;
    const invalid = expect.objectContaining({ code: 'kernel_arguments_invalid' });
    const empty = new Float32Array(0);
    expect(() => kernels.softmaxForward(empty, empty, 2 ** 32, 2 ** 32)).toThrow(invalid);
    expect(() => kernels.gluForward(empty, empty, 2 ** 53 - 1, 2 ** 11, 'silu')).toThrow(invalid);
    expect(() => kernels.createPacked(2 ** 31, 2 ** 31, 2 ** 31, 'f32')).toThrow(invalid);
    const cache = new Float32Array(16);
    const shape = { rows: 1, heads: 1, kvHeads: 1, headDim: 8 };
    const cached = (slot: number, cacheLength: number) =>
      kernels.attentionCached(
        new Float32Array(8),
        cache,
        cache.slice(),
        new Float32Array(24),
        Int32Array.of(slot),
        Int32Array.of(0),
        shape,
        cacheLength,
        1,
      );
    for (const slot of [2 ** 31 - 1, -(2 ** 31), 2]) expect(() => cached(slot, 1)).toThrow(invalid);
    expect(() => cached(2 ** 31 - 1, 2 ** 53 - 1)).toThrow(invalid);
    cached(1, 1);
  });

  it('keeps the number of threads when kernels are made once more', () => {
    const kernels = createKernels({ threads: 2 });
    expect(createKernels().threads).toBe(2);
    expect(createKernels({ threads: 1 }).threads).toBe(1);
    expect(kernels.threads).toBe(1);
  });

  it('says with a code that the system has no memory', () => {
    const kernels = loadNative()!;
    const exhausted = { name: 'DabarexError', code: 'kernel_memory_exhausted' };
    expect(() => kernels.allocate(2 ** 52)).toThrow(expect.objectContaining(exhausted));
  });

  it('walks no rows that hold nothing', () => {
    const kernels = loadNative()!;
    const empty = new Float32Array(0);
    const started = performance.now();
    kernels.gluForward(empty, empty, 2 ** 52 - 1, 0, 'silu');
    kernels.binaryRow('add', empty, empty, empty, 2 ** 53 - 1, 0);
    kernels.softmaxBackward(empty, empty, empty, 2 ** 53 - 1, 0);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
