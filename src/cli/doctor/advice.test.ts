import { describe, expect, it } from 'vitest';
import { adviseOn, type Findings } from './advice.ts';

const place = { path: '/here', exists: true, writable: true, sizeBytes: 0 };

/** A machine of which there is nothing to say. */
const fine: Findings = {
  node: 'v20.20.0',
  platform: 'linux-x64',
  cpu: {
    model: 'test',
    features: ['avx2', 'fma', 'avx512f', 'avx512_bf16'],
    logicalCores: 8,
    physicalCores: 4,
    load: 0,
  },
  memory: { totalBytes: 16e9, availableBytes: 8e9 },
  hugePageSetting: 'madvise',
  compiler: 'g++',
  engine: { kernels: 'native-avx512bf16', available: [], nativeMissing: null, threads: 4 },
  hugePageShare: 1,
  speeds: [
    { threads: 1, f32Flops: 100e9, bf16Flops: 200e9, readBandwidth: 10e9, undisturbed: 1 },
    { threads: 4, f32Flops: 390e9, bf16Flops: 790e9, readBandwidth: 30e9, undisturbed: 1 },
  ],
  places: { runs: place, cache: place },
};

describe('advice', () => {
  it('is empty where all is well', () => {
    expect(adviseOn(fine)).toEqual([]);
  });

  it.each<[string, Partial<Findings>, string, RegExp]>([
    [
      'a folder that cannot be written',
      { places: { runs: { ...place, writable: false }, cache: place } },
      'broken',
      /folder of yours/,
    ],
    [
      'a cache that cannot be written',
      { places: { runs: place, cache: { ...place, writable: false } } },
      'broken',
      /DABAREX_HOME/,
    ],
    [
      'kernels not built, a compiler at hand',
      { engine: { ...fine.engine, nativeMissing: 'not built' } },
      'slow',
      /not built.*npm run setup/,
    ],
    [
      'kernels not built, no compiler',
      { engine: { ...fine.engine, nativeMissing: 'not built' }, compiler: null },
      'slow',
      /Install a C\+\+ compiler/,
    ],
    ['huge pages off', { hugePageSetting: 'never', hugePageShare: 0 }, 'slow', /echo madvise/],
    ['few huge pages', { hugePageShare: 0.25 }, 'slow', /25 %.*compact_memory/],
    ['no AVX-512', { cpu: { ...fine.cpu, features: ['avx2'] } }, 'note', /lacks AVX-512:/],
    ['no bf16', { cpu: { ...fine.cpu, features: ['avx2', 'avx512f'] } }, 'note', /lacks AVX-512 BF16/],
    ['no AVX2', { cpu: { ...fine.cpu, features: ['fma'] } }, 'note', /lacks AVX2/],
    [
      'more threads than the system has',
      { engine: { ...fine.engine, threads: 9 } },
      'slow',
      /9 threads on 8 cores.*--threads 4/,
    ],
    ['two threads on a core', { engine: { ...fine.engine, threads: 8 } }, 'note', /share 4 cores/],
    [
      'threads that do not add up',
      { speeds: [fine.speeds[0]!, { ...fine.speeds[1]!, f32Flops: 200e9 }] },
      'slow',
      /4 threads reach 50 %/,
    ],
    [
      'other work',
      { speeds: [fine.speeds[0]!, { ...fine.speeds[1]!, undisturbed: 0.6 }] },
      'slow',
      /got 60 % of its time/,
    ],
    ['little memory', { memory: { totalBytes: 16e9, availableBytes: 1e9 } }, 'note', /Only 1000 MB/],
  ])('names %s', (_, change, level, text) => {
    const advice = adviseOn({ ...fine, ...change });
    expect(advice).toHaveLength(1);
    expect(advice[0]!.level).toBe(level);
    expect(advice[0]!.text).toMatch(text);
  });

  it('puts what is broken first', () => {
    const worst = {
      hugePageShare: 0,
      memory: { totalBytes: 1, availableBytes: 1 },
      places: { runs: place, cache: { ...place, writable: false } },
    };
    expect(adviseOn({ ...fine, ...worst }).map(({ level }) => level)).toEqual(['broken', 'slow', 'note']);
  });
});
