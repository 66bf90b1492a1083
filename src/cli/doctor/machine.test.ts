import { expect, it } from 'vitest';
import { featuresOf, physicalCoresOf } from './machine.ts';

const processor = (id: number, core: number, flags: string) =>
  `processor\t: ${id}\nphysical id\t: 0\ncore id\t\t: ${core}\nflags\t\t: ${flags}\n`;

it('reads features of x86 and of AArch64', () => {
  expect(featuresOf(processor(0, 0, 'fpu sse2 avx2 avx512f'))).toEqual(['avx2', 'avx512f']);
  expect(featuresOf('processor\t: 0\nFeatures\t: fp asimd bf16\n')).toEqual(['asimd', 'bf16']);
  expect(featuresOf('')).toEqual([]);
});

it('counts cores, not their threads', () => {
  const four = [0, 1, 2, 3].map((id) => processor(id, id % 2, 'avx2')).join('\n');
  expect(physicalCoresOf(four)).toBe(2);
  expect(physicalCoresOf('processor\t: 0\n')).toBeNull();
});
