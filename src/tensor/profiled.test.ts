import { expect, it } from 'vitest';
import { Arena } from './arena.ts';
import { profiledKernels } from './profiled.ts';
import { createReferenceKernels } from './reference/index.ts';
import type { TracedCall, Tracer } from './tracer.ts';

class Recorder implements Tracer {
  readonly calls: TracedCall[] = [];
  readonly memory: string[] = [];
  private time = 0;

  nowMs(): number {
    return this.time++;
  }

  enter(): void {}

  leave(): void {}

  called(call: TracedCall): void {
    this.calls.push(call);
  }

  memoryTaken(_owner: object, kind: string, sizeBytes: number, name = '-'): void {
    this.memory.push(`${kind} ${name} ${sizeBytes}`);
  }

  memoryReleased(_owner: object, kept: number): void {
    this.memory.push(`kept ${kept}`);
  }
}

it('profiled kernels compute the same, and tell of every call', () => {
  const plain = createReferenceKernels();
  const tracer = new Recorder();
  const kernels = profiledKernels(plain, tracer);
  expect([kernels.name, kernels.threads, kernels.tracer, plain.tracer]).toEqual([
    'reference',
    1,
    tracer,
    undefined,
  ]);
  const a = Float32Array.of(1, 2, 3, 4);
  const packed = kernels.createPacked(2, 2, 1, 'f32');
  kernels.pack(packed, a, false);
  const [product, expected] = [new Float32Array(4), new Float32Array(4)];
  kernels.gemmPacked(product, a, packed, 2);
  plain.gemmPacked(expected, a, packed, 2);
  expect(product).toEqual(expected);
  expect(kernels.sum(product)).toBe(plain.sum(expected));
  expect(tracer.calls).toEqual([
    { kind: 'kernel', name: 'pack', startMs: 0, endMs: 1, flops: 0, precision: 'f32', bytes: 32 },
    { kind: 'kernel', name: 'gemmPacked', startMs: 2, endMs: 3, flops: 16, precision: 'f32', bytes: 48 },
    { kind: 'kernel', name: 'sum', startMs: 4, endMs: 5, flops: 0, precision: 'f32', bytes: 16 },
  ]);
  expect(tracer.memory).toEqual(['packed - 16']);
});

it('arenas tell of what they hand out and take back', () => {
  const tracer = new Recorder();
  const arena = new Arena(profiledKernels(createReferenceKernels(), tracer), { kind: 'optimizer' });
  arena.floats(20, 'a');
  const mark = arena.mark();
  arena.integers(1);
  arena.release(mark);
  arena.bytes(65);
  arena.reset();
  expect(tracer.memory).toEqual(['optimizer a 128', 'optimizer - 64', 'kept 1', 'optimizer - 128', 'kept 0']);
});
