/**
 * The step's memory: blocks allocated once and handed out by a moving cursor, so that an op never calls malloc and no
 * activation is left to the garbage collector. `reset` at the end of a step makes all of it free again.
 */
import type { FloatArray, Kernels } from './kernels.ts';

export type FloatType = 'f32' | 'f64';

const ALIGNMENT = 64;
const DEFAULT_BLOCK_BYTES = 64 << 20;

export class Arena {
  private readonly kernels: Kernels;
  private readonly floatType: FloatType;
  private readonly blockBytes: number;
  private readonly blocks: ArrayBuffer[] = [];
  private block = 0;
  private offset = 0;
  private highWater = 0;

  constructor(kernels: Kernels, floatType: FloatType = 'f32', blockBytes = DEFAULT_BLOCK_BYTES) {
    this.kernels = kernels;
    this.floatType = floatType;
    this.blockBytes = blockBytes;
  }

  /** Uninitialised floats, valid until {@link reset}. */
  floats(length: number): FloatArray {
    return this.floatType === 'f64'
      ? new Float64Array(...this.take(length * 8, length))
      : new Float32Array(...this.take(length * 4, length));
  }

  /** Uninitialised integers, valid until {@link reset}. */
  integers(length: number): Int32Array {
    return new Int32Array(...this.take(length * 4, length));
  }

  /** Uninitialised bytes, valid until {@link reset}. */
  bytes(length: number): Uint8Array {
    return new Uint8Array(...this.take(length, length));
  }

  /** Where the cursor stands; give it to {@link release} to free what was taken since. */
  mark(): readonly [number, number] {
    return [this.block, this.offset];
  }

  release(mark: readonly [number, number]): void {
    [this.block, this.offset] = mark;
  }

  /** Frees everything handed out; arrays given before must not be used any more. */
  reset(): void {
    this.block = 0;
    this.offset = 0;
  }

  /** The most bytes in use at once so far. */
  get highWaterBytes(): number {
    return this.highWater;
  }

  private take(sizeBytes: number, length: number): [ArrayBuffer, number, number] {
    const size = Math.ceil(sizeBytes / ALIGNMENT) * ALIGNMENT;
    while (this.block < this.blocks.length && this.offset + size > this.blocks[this.block]!.byteLength) {
      this.block++;
      this.offset = 0;
    }
    if (this.block === this.blocks.length) {
      this.blocks.push(this.kernels.allocate(Math.max(size, this.blockBytes)));
    }
    const at = this.offset;
    this.offset += size;
    let used = this.offset;
    for (let i = 0; i < this.block; i++) used += this.blocks[i]!.byteLength;
    this.highWater = Math.max(this.highWater, used);
    return [this.blocks[this.block]!, at, length];
  }
}
